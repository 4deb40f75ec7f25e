/* Loaded before libc (LD_PRELOAD), it writes down what a program does to the files below
 * one directory, in order, each operation after it has returned; and it can make them fail.
 *
 *   DISKFAULT_DIR   the directory
 *   DISKFAULT_LOG   where to write the record: see powercut.py for its form
 *   DISKFAULT_FAIL  while this file exists, the disk fails with the number of an error
 *   DISKFAULT_ERRNO which is this one: ENOSPC (28) where a file would have to grow, any
 *                   other at every write and sync
 *   DISKFAULT_KILL  the number of an operation: the process is killed before it
 *   DISKFAULT_STOP  the number of an operation: it fails, and all after it, with DISKFAULT_ERRNO
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FD 4096

static char *names[MAX_FD]; /* of the open files that are watched */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

static const char *directory(void) { return getenv("DISKFAULT_DIR"); }

static int is_watched(const char *path) {
    const char *dir = directory();
    return dir && path && strncmp(path, dir, strlen(dir)) == 0;
}

static const char *name_of(int fd) { return fd >= 0 && fd < MAX_FD ? names[fd] : NULL; }

static void put(const void *data, size_t size) {
    while (size > 0) {
        ssize_t done = syscall(SYS_write, log_fd, data, size);
        if (done <= 0) abort();
        data = (const char *)data + done;
        size -= (size_t)done;
    }
}

/* One record: kind, offset, length, two strings with their lengths, the data. */
static void record(char kind, const char *name, const char *other, int64_t offset,
                   const void *data, int64_t length) {
    if (!getenv("DISKFAULT_LOG")) return;
    int saved = errno;
    pthread_mutex_lock(&lock);
    if (log_fd < 0)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, getenv("DISKFAULT_LOG"),
                              O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    uint16_t name_size = (uint16_t)strlen(name), other_size = other ? (uint16_t)strlen(other) : 0;
    put(&kind, 1);
    put(&offset, 8);
    put(&length, 8);
    put(&name_size, 2);
    put(&other_size, 2);
    put(name, name_size);
    put(other, other_size);
    if (data) put(data, (size_t)length);
    pthread_mutex_unlock(&lock);
    errno = saved;
}

/* Whether an operation that makes a file reach to `end` fails; it sets errno. */
static int fails(int fd, int64_t end) {
    const char *path = getenv("DISKFAULT_FAIL"), *number = getenv("DISKFAULT_ERRNO");
    struct stat now;
    if (!path || !number || !name_of(fd) || syscall(SYS_access, path, F_OK) != 0) return 0;
    if (atoi(number) == ENOSPC && (fstat(fd, &now) != 0 || end <= now.st_size)) return 0;
    errno = atoi(number);
    return 1;
}

/* Count an operation on a watched file; whether it fails, if it is not the last of this process. */
static int is_stopped(const char *path) {
    static int count;
    const char *kill_at = getenv("DISKFAULT_KILL"), *stop_at = getenv("DISKFAULT_STOP");
    if (!path || (!kill_at && !stop_at)) return 0;
    int number = __sync_add_and_fetch(&count, 1);
    if (kill_at && number == atoi(kill_at)) kill(getpid(), SIGKILL);
    if (!stop_at || number < atoi(stop_at)) return 0;
    errno = atoi(getenv("DISKFAULT_ERRNO"));
    return 1;
}

static const char *watched(const char *path) { return is_watched(path) ? path : NULL; }

#define NEXT(name) \
    static __typeof__(name) *next; \
    if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int opened(int fd, const char *path, int flags, int was_there) {
    if (fd < 0 || fd >= MAX_FD) return fd;
    free(names[fd]);
    names[fd] = is_watched(path) ? strdup(path) : NULL;
    if (!names[fd]) return fd;
    if (!was_there && (flags & O_CREAT)) record('c', path, NULL, 0, NULL, 0);
    if (flags & O_TRUNC) record('t', path, NULL, 0, NULL, 0);
    return fd;
}

static int open_any(int at, const char *path, int flags, mode_t mode) {
    int was_there = syscall(SYS_faccessat, at, path, F_OK) == 0;
    if (!was_there && (flags & O_CREAT) && is_stopped(watched(path))) return -1;
    return opened((int)syscall(SYS_openat, at, path, flags, mode), path, flags, was_there);
}

#define MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open(const char *path, int flags, ...) { MODE return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return open_any(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE return open_any(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE return open_any(at, path, flags, mode); }

int close(int fd) {
    NEXT(close);
    if (fd >= 0 && fd < MAX_FD && names[fd]) {
        free(names[fd]);
        names[fd] = NULL;
    }
    return next(fd);
}

static ssize_t wrote(int fd, const void *data, ssize_t done, int64_t offset) {
    if (done > 0 && name_of(fd)) record('w', name_of(fd), NULL, offset, data, done);
    return done;
}

static ssize_t write_at(int fd, const void *data, size_t size, int64_t offset) {
    if (is_stopped(name_of(fd)) || fails(fd, offset + (int64_t)size)) return -1;
    return wrote(fd, data, syscall(SYS_pwrite64, fd, data, size, offset), offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    return write_at(fd, data, size, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    return write_at(fd, data, size, offset);
}

ssize_t write(int fd, const void *data, size_t size) {
    int64_t offset = name_of(fd) ? lseek(fd, 0, SEEK_CUR) : 0;
    if (is_stopped(name_of(fd)) || fails(fd, offset + (int64_t)size)) return -1;
    return wrote(fd, data, syscall(SYS_write, fd, data, size), offset);
}

static int truncated(int fd, int64_t size) {
    if (is_stopped(name_of(fd)) || fails(fd, size)) return -1;
    int failed = (int)syscall(SYS_ftruncate, fd, size);
    if (!failed && name_of(fd)) record('t', name_of(fd), NULL, size, NULL, 0);
    return failed;
}

int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncated(fd, size); }

static int synced(int fd, long call) {
    if (is_stopped(name_of(fd)) || fails(fd, 0)) return -1;
    int failed = (int)syscall(call, fd);
    if (!failed && name_of(fd)) record('s', name_of(fd), NULL, 0, NULL, 0);
    return failed;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int unlink(const char *path) {
    NEXT(unlink);
    if (is_stopped(watched(path))) return -1;
    int failed = next(path);
    if (!failed && is_watched(path)) record('u', path, NULL, 0, NULL, 0);
    return failed;
}

int rename(const char *from, const char *to) {
    NEXT(rename);
    if (is_stopped(watched(from))) return -1;
    int failed = next(from, to);
    if (!failed && is_watched(from)) record('r', from, to, 0, NULL, 0);
    return failed;
}

int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir);
    int failed = next(path, mode);
    if (!failed && is_watched(path)) record('m', path, NULL, 0, NULL, 0);
    return failed;
}
