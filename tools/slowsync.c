/* Loaded before libc (LD_PRELOAD), it has each fsync and fdatasync take longer, as on an SD card:
 * by the milliseconds in SLOWSYNC_MS, if that is set.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int later(int failed) {
    const char *text = getenv("SLOWSYNC_MS");
    if (text) {
        long ms = atol(text);
        struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
        nanosleep(&wait, NULL);
    }
    return failed;
}

int fsync(int fd) { return later((int)syscall(SYS_fsync, fd)); }
int fdatasync(int fd) { return later((int)syscall(SYS_fdatasync, fd)); }
