"""How well faxes are read: ``python -m benchmarks.ocr``. Twenty-four pages in three faces at 10.5 to 16 points, in both resolutions,
skewed, speckled and cut to one bit (``benchmarks.faxpages``), through the channel's own code, page by page.

Accuracy is one less the edits over the characters of the page. "lost" are lines of which not half was read: each page with one must
be flagged. Then every line that was read is taken away, one at a time, and the page must be flagged each time.
"""

from __future__ import annotations

import sys
import time

from benchmarks import faxpages
from gateway_plugins.fax import ocr, pages


def main() -> None:
    """Print a line for each page and the figures over all; exit 1 where a lost line was not flagged."""
    right: list[float] = []
    silent = lost = alarms = 0
    tried = noticed = 0
    for page in faxpages.pages(int(sys.argv[1]) if len(sys.argv) > 1 else 7):
        began = time.perf_counter()
        image = next(pages.images(page.tiff))
        assert image is not None
        found = ocr.recognise(image)
        seconds = time.perf_counter() - began
        right.append(faxpages.accuracy(page.text, found.text))
        gone = faxpages.lost(page.lines, found.text)
        lost += len(gone)
        silent += bool(gone) and not found.dropped
        alarms += found.dropped and not gone
        flagged = [ocr.dropped_lines(found.grey, [*found.lines[:n], *found.lines[n + 1 :]]) for n in range(len(found.lines))]
        tried, noticed = tried + len(flagged), noticed + sum(flagged)
        print(
            f"{page.name:24}  {right[-1]:.3f}  {seconds:5.1f} s  skew {page.spoil.skew:+.1f}°  specks {page.spoil.specks:.2%}"
            f"  lost {len(gone)}  flagged {'yes' if found.dropped else 'no'}  taken away {sum(flagged)}/{len(flagged)}",
            flush=True,
        )
    print(f"\npages {len(right)}: character accuracy mean {sum(right) / len(right):.4f}, worst {min(right):.3f}")
    print(f"lines lost {lost}, pages with one and no flag {silent}; pages flagged that lost none {alarms}")
    print(f"lines taken away {tried}, noticed {noticed}")
    sys.exit(1 if silent else 0)


if __name__ == "__main__":
    main()
