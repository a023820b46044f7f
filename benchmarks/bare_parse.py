"""The bare loop that parsing is measured against: it slices one fixed format and keeps nothing.

    python benchmarks/bare_parse.py chat.txt          an Android export, "05/10/2023, 21:07 - Name: text"
    python benchmarks/bare_parse.py chat.txt --ios    an iPhone's, "[05/10/2023, 21:07:45] Name: text"
    python benchmarks/bare_parse.py chat.txt --split " - "    headers of changing length, "5/10/23, 9:07 PM - Name"

Nothing could be simpler and still call itself reading the export: no detection, no time arithmetic, no multi-line
messages, no attachments, and the file is already unpacked.
"""

from __future__ import annotations

import sys
import time


def bare_android(path: str) -> int:
    """Slice every line of a `05/10/2023, 21:07 - Name: text` file; the number of lines with an author."""
    count = 0
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        for line in file:
            if line[17:20] == " - ":
                date = line[:10]
                clock = line[12:17]
                colon = line.find(": ", 20)
                author = line[20:colon]
                text = line[colon + 2 : -1]
                if date and clock and author and text:
                    count += 1
    return count


def bare_ios(path: str) -> int:
    """Slice every line of a `[05/10/2023, 21:07:45] Name: text` file; the number of lines with an author."""
    count = 0
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        for line in file:
            if line[0] == "[" and line[21:23] == "] ":
                date = line[1:11]
                clock = line[13:21]
                colon = line.find(": ", 23)
                author = line[23:colon]
                text = line[colon + 2 : -1]
                if date and clock and author and text:
                    count += 1
    return count


def bare_split(path: str, end: str) -> int:
    """The same for headers of changing length: split every line at `end`, `, ` and `: `."""
    count = 0
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        for line in file:
            stamp, _, rest = line.partition(end)
            date, _, clock = stamp.partition(", ")
            author, _, text = rest.partition(": ")
            if date and clock and author and text:
                count += 1
    return count


if __name__ == "__main__":
    started = time.perf_counter()
    if "--split" in sys.argv:
        found = bare_split(sys.argv[1], sys.argv[-1])
    else:
        found = (bare_ios if "--ios" in sys.argv else bare_android)(sys.argv[1])
    taken = time.perf_counter() - started
    print(f"{found} messages, {taken:.3f} s")
