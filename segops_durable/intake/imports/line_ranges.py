"""Lines of a file as ranges, in order: which of an import were mended."""

from __future__ import annotations


def within(ranges: list[list[int]], line: int) -> bool:
    """Whether a line is in one of the ranges, which are in order."""
    low, high = 0, len(ranges)
    while low < high:
        middle = (low + high) // 2
        if ranges[middle][1] < line:
            low = middle + 1
        else:
            high = middle
    return low < len(ranges) and ranges[low][0] <= line


def joined(ranges: list[list[int]], lines: list[int]) -> list[list[int]]:
    """The ranges and more lines, as ranges in order."""
    found: list[list[int]] = []
    for first, last in sorted([*ranges, *([line, line] for line in lines)]):
        if found and first <= found[-1][1] + 1:
            found[-1][1] = max(found[-1][1], last)
        else:
            found.append([first, last])
    return found
