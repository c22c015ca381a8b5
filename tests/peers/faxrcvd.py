"""The mails of a real HylaFAX: its own ``faxrcvd``, run as faxgetty does after a call, in a spool of the test's own.

No modem is there, so the page that came over the line is put into ``recvq`` by the test; everything after that is HylaFAX's. What it
hands to sendmail goes by SMTP to the port under test, and stays in a queue where that does not take it, as with any MTA.
"""

from __future__ import annotations

import smtplib
import subprocess
from pathlib import Path

from PIL import Image, TiffImagePlugin

SETUP = """\
SPOOL='{spool}'
FAXUSER='uucp'
LIBEXEC='/usr/sbin'
SBIN='/usr/sbin'
BIN='/usr/bin'
TIFFBIN='/usr/bin'
TIFF2PDF='bin/tiff2pdf'
TTYCMD='/usr/bin/tty'
AWK='/usr/bin/awk'
SED='/bin/sed'
CAT='/bin/cat'
CP='/bin/cp'
GREP='/bin/grep'
RM='/bin/rm'
ECHO='/bin/echo'
ENCODING='base64'
BASE64ENCODE='/usr/bin/base64'
QPENCODE='/bin/cat'
PSPACKAGE='gs'
GSRIP='/usr/bin/gs'
SENDMAIL='{spool}/sendmail'
TMPDIR='/tmp'
"""
SENDMAIL = """\
#!/bin/sh
# sendmail -fFROM -oi TO: keeps the mail; the test sends what is kept.
exec cat >"{spool}/mailq/$(date +%s%N)"
"""
DISPATCH = """\
TEMPLATE=en
SENDTO={to}
TOADDR={to}
FROMADDR=fax@hylafax.test
NOTIFY_FAXMASTER=never
FILETYPE="{files}"
"""
FROM = "fax@hylafax.test"


class FaxRcvd:
    """``receive`` a fax: afterwards its mail is in the queue."""

    def __init__(self, folder: Path, to: str, files: str = "tif pdf") -> None:
        self.spool, self.to = folder / "spool", to
        for name in ("recvq", "etc", "log", "tmp", "info", "mailq"):
            (self.spool / name).mkdir(parents=True)
        (self.spool / "bin").symlink_to("/var/spool/hylafax/bin")
        (self.spool / "etc" / "templates").symlink_to("/etc/hylafax/templates")
        (self.spool / "etc" / "setup.cache").write_text(SETUP.format(spool=self.spool))
        (self.spool / "etc" / "FaxDispatch").write_text(DISPATCH.format(to=to, files=files))
        (self.spool / "sendmail").write_text(SENDMAIL.format(spool=self.spool))
        (self.spool / "sendmail").chmod(0o755)
        self.count = 0

    def receive(self, pages: list[Image.Image], *, tsi: str = "", number: str = "", name: str = "", error: str = "") -> Path:
        """A call: what faxgetty leaves in ``recvq``, and what it then starts. Returns the file."""
        self.count += 1
        file = self.spool / "recvq" / f"fax{self.count:09}.tif"
        marked = [_marked(page, tsi) for page in pages]
        with TiffImagePlugin.AppendingTiffWriter(str(file), new=True) as out:
            for page, tags in marked:
                page.save(out, "TIFF", compression="group4", tiffinfo=tags, dpi=page.info["dpi"])
                out.newFrame()
        done = subprocess.run(
            ["bash", "bin/faxrcvd", f"recvq/{file.name}", "ttyS0", f"{self.count:09}", error, number, name, "8820003"],
            cwd=self.spool, capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return file

    def queue(self) -> list[Path]:
        return sorted((self.spool / "mailq").iterdir())

    def run_queue(self, port: int, *, keep: bool = False) -> list[int]:
        """Offer each mail that waits; what is not taken for good stays. ``keep``: as if the answer had been lost."""
        answers = []
        for path in self.queue():
            with smtplib.SMTP("127.0.0.1", port, timeout=20) as session:
                session.ehlo()
                session.mail(FROM)
                session.rcpt(self.to)
                code, _text = session.data(path.read_bytes())
            answers.append(code)
            if code == 250 and not keep:
                path.unlink()
        return answers


def _marked(page: Image.Image, tsi: str) -> tuple[Image.Image, TiffImagePlugin.ImageFileDirectory_v2]:
    """The tags that faxgetty writes beside the dots: TSI (270), fax in one strip, white is 0."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270], tags[262], tags[278] = tsi or "<UNSPECIFIED>", 0, page.height
    return page, tags
