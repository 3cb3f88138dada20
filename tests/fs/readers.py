"""Many readers in a process of its own: `python -m tests.fs.readers DIRECTORY COUNT`.

COUNT threads read the files DIRECTORY/0, DIRECTORY/1 and so on, each its own. Says how many have read zeros.
"""

import sys
from pathlib import Path
from threading import Thread


def read(path: Path, read_well: list[Path]) -> None:
    try:
        if path.read_bytes() == bytes(path.stat().st_size):
            read_well.append(path)
    except OSError:
        pass  # the mount went away


def main(directory: Path, count: int) -> None:
    read_well: list[Path] = []
    threads = [Thread(target=read, args=(directory / str(number), read_well)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(len(read_well), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
