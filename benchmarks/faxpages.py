"""Pages of fax whose text is known: rendered with Debian's fonts and spoilt as a scanner and a telephone line spoil them.

Each page is set in one of three faces at 10.5 to 16 points, turned a little, thinned or thickened by the threshold, speckled in
black and white, cut to one bit and packed as G3 or G4 at 204 × 196 (fine) or 204 × 98 (standard) dots an inch. All of it follows
from a seed, so that a page is the same on every host with the same fonts.
"""

from __future__ import annotations

import io
import itertools
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import numpy
from PIL import Image, ImageDraw, ImageFont

FONTS = {
    "song": "/usr/share/fonts/truetype/arphic-gbsn00lp/gbsn00lp.ttf",
    "kai": "/usr/share/fonts/truetype/arphic-gkai00mp/gkai00mp.ttf",
    "hei": "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
}
"""By name: fonts-arphic-gbsn00lp, fonts-arphic-gkai00mp, fonts-wqy-zenhei."""
POINTS = (10.5, 12.0, 14.0, 16.0)
"""五号, 小四, 四号, 三号: from the smallest that offices use to that of official documents."""
WIDE, HIGH, ACROSS, DOWN = 1728, 2292, 204, 196
"""A4 in fine mode (ITU-T T.4)."""
SCALE = 2
MARGIN_MM = 26.0
HEAD = "发送方 {number}    2026-11-23 09:{minute:02d}    第{page}页"
TEXTS = (
    (
        "关于石桥县河湾村民房倒塌情况的报告",
        "市委办公室：",
        "11月23日8时15分许，石桥县河湾镇河湾村三组一处砖木结构民房突然倒塌，屋内5人被埋压。接报后，县委、县政府立即启动应急预案，"
        "组织消防、公安、卫健等部门赶赴现场救援。截至9时30分，已救出4人，其中1人经抢救无效死亡，3人受伤（1人伤势较重），仍有1人被困。",
        "经初步了解，该房屋建于1986年，建筑面积约120平方米，连日降雨致墙体浸泡松软，是倒塌的主要原因，具体情况正在核查。",
        "下一步，我县将全力搜救被困人员，妥善安置受灾群众27户84人，并对全县C级、D级危房逐户排查。后续情况续报。",
        "联系人：周明远，电话：0999-8811004。",
        "石桥县政府办公室",
        "2026年11月23日",
    ),
    (
        "关于青山区幸福路火灾的续报",
        "市政府值班室：",
        "现将青山区幸福路12号火灾处置情况续报如下：",
        "一、伤亡情况。火灾共造成2人死亡、6人受伤，死者为该楼四层租户，身份已核实。伤员均在市第一人民医院救治，其中2人在重症监护室，生命体征平稳。",
        "二、处置情况。区消防救援大队先后出动11辆消防车、56名指战员，于10时48分将明火扑灭，疏散居民132人。过火面积约85平方米，直接经济损失约46万元。",
        "三、原因调查。初步判断系三层楼道内电动自行车充电时电气线路故障引发，事故调查组正在进一步查证。",
        "四、善后工作。区民政局已对38户受影响居民发放临时生活补助，街道安排宾馆安置，群众情绪稳定，未发现负面舆情。",
        "审签人：刘建国。报告人：陈晓燕，电话：13900000021。",
    ),
    (
        "关于柳河县三岔镇山体滑坡的初报",
        "市委政务值班室、市政府值班室：",
        "受强降雨影响，昨日21时40分，柳河县三岔镇石门村后山发生山体滑坡，滑坡体约3.2万立方米，冲毁房屋9间、农田65亩，乡道X203线K14+600处中断。",
        "目前已造成3人死亡、2人受伤、1人失踪，紧急转移群众216人。县应急管理局、自然资源局技术人员已到场监测，武警、民兵预备役共180余人正在连夜搜救。",
        "县委书记、县长在现场指挥，已请求市地质灾害专家组支援。因通信基站受损，现场仅能使用卫星电话联络，请市里协调通信保障车1台、发电机4台。",
        "滑坡体后缘仍有变形迹象，存在再次滑动的可能，我县已划定警戒区域，严禁无关人员进入。",
        "柳河县应急管理局 孙平",
    ),
    (
        "关于平安县育才中学学生身体不适情况的报告",
        "市教育局并市卫生健康委：",
        "今日12时50分至14时，平安县育才中学先后有43名学生出现恶心、呕吐、腹痛等症状，均在校食堂就过餐。学校随即拨打120并报告县教育局。",
        "截至16时，就诊学生47人，其中留院观察12人，其余35人经对症处理后已返家，无重症、无死亡。县疾控中心已采集食品留样、餐具及患者样本共31份送检，结果预计24小时内得出。",
        "县市场监管局已封存食堂剩余食材，食堂即日起停业整顿。学校对全部1860名师生开展晨午检，逐一电话告知家长。公安机关已介入，暂未发现人为投毒线索。",
        "初步怀疑为豆角未炒熟所致，最终结论以检测报告为准。",
        "平安县委办公室 2026年11月20日17时05分",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spoil:
    """What happens to a page: ``skew`` in degrees, ``dark`` moves the threshold (0 = thin strokes, 255 = thick ones), ``specks``
    is the share of dots that turn, ``blots`` are spots of a few dots."""

    skew: float = 0.0
    dark: int = 140
    specks: float = 0.0
    blots: int = 0
    soft: float = 0.0


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it came over the line: ``tiff``, and the ``lines`` that stand on it."""

    name: str
    tiff: bytes
    lines: tuple[str, ...]
    spoil: Spoil = field(default=Spoil())

    @property
    def text(self) -> str:
        return "".join(self.lines)


def pages(seed: int = 7) -> Iterator[Page]:
    """All 24: three faces, four sizes, both resolutions; text and damage change from page to page."""
    for number, (face, points, fine) in enumerate(itertools.product(FONTS, POINTS, (True, False))):
        yield page(face, points, fine=fine, text=(number + number // 8) % len(TEXTS), seed=seed * 1000 + number)


def page(face: str, points: float, *, fine: bool, text: int = 0, seed: int = 1, spoil: Spoil | None = None) -> Page:
    """One page; without ``spoil`` the seed decides what happens to it."""
    chance = random.Random(seed)
    if spoil is None:
        spoil = Spoil(
            skew=chance.choice((-1, 1)) * chance.uniform(0.3, 1.8),
            dark=chance.randrange(105, 185),
            specks=chance.uniform(0.0005, 0.004),
            blots=chance.randrange(20, 120),
            soft=chance.uniform(0.3, 0.9),
        )
    lines, grey = _set(face, points, TEXTS[text], HEAD.format(number=f"0999-88110{seed % 90:02d}", minute=seed % 60, page=1))
    spoilt = _spoil(grey, spoil, random.Random(seed + 1), fine=fine)
    out = io.BytesIO()
    packed = "group4" if seed % 2 else "group3"
    spoilt.save(out, "TIFF", compression=packed, dpi=(ACROSS, DOWN if fine else DOWN // 2))
    return Page(f"{face} {points:g} pt {'fine' if fine else 'standard'}", out.getvalue(), tuple(lines), spoil)


def accuracy(truth: str, read: str) -> float:
    """The share of characters that are right: one less the edits needed, over the length of what stands on the page. Blanks do
    not count; forms of one sign that differ in width (， and ,) are one sign."""
    want, have = plain(truth), plain(read)
    return max(0.0, 1 - edits(want, have) / len(want))


def plain(text: str) -> str:
    """Without blanks, full-width forms as half-width ones."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def edits(one: str, other: str) -> int:
    """Levenshtein's distance."""
    row = list(range(len(other) + 1))
    for at, a in enumerate(one, 1):
        before, row[0] = row[0], at
        for to, b in enumerate(other, 1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (a != b))
    return row[-1]


def lost(lines: tuple[str, ...], read: str) -> list[str]:
    """The lines of a page of which not half the characters were read, where the two texts are laid beside each other."""
    plains = [plain(line) for line in lines]
    blocks = SequenceMatcher(None, "".join(plains), plain(read), autojunk=False).get_matching_blocks()
    there = {block.a + step for block in blocks for step in range(block.size)}
    gone, start = [], 0
    for line, bare in zip(lines, plains, strict=True):
        if sum(at in there for at in range(start, start + len(bare))) < len(bare) / 2:
            gone.append(line)
        start += len(bare)
    return gone


def _set(face: str, points: float, text: tuple[str, ...], head: str) -> tuple[list[str], Image.Image]:
    """The lines and the page, in grey at ``SCALE`` times its size."""
    dots = ACROSS * SCALE / 72
    font = ImageFont.truetype(FONTS[face], round(points * dots))
    title = ImageFont.truetype(FONTS[face], round((points + 4) * dots))
    small = ImageFont.truetype(FONTS[face], round(9 * dots))
    image = Image.new("L", (WIDE * SCALE, HIGH * SCALE), 255)
    pen = ImageDraw.Draw(image)
    margin = round(MARGIN_MM / 25.4 * ACROSS * SCALE)
    wide = WIDE * SCALE - 2 * margin
    lines = [head]
    pen.text((margin, 20 * SCALE), head, 0, small)
    at = 170 * SCALE
    for number, piece in enumerate(text):
        if number == 0:
            lines.append(piece)
            pen.text(((WIDE * SCALE - pen.textlength(piece, title)) / 2, at), piece, 0, title)
            at += round(1.9 * title.size)
            continue
        for row in _rows(pen, piece if number == 1 else "　　" + piece, font, wide):
            lines.append(row.strip("　"))
            pen.text((margin, at), row, 0, font)
            at += round(1.6 * font.size)
    assert at < HIGH * SCALE, "the text is longer than the page"
    return lines, image


def _rows(pen: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, wide: int) -> list[str]:
    rows, row = [], ""
    for sign in text:
        if row and pen.textlength(row + sign, font) > wide and sign not in "，。、；：）":
            rows.append(row)
            row = ""
        row += sign
    return [*rows, row]


def _spoil(grey: Image.Image, spoil: Spoil, chance: random.Random, *, fine: bool) -> Image.Image:
    turned = grey.rotate(spoil.skew, Image.Resampling.BICUBIC, fillcolor=255) if spoil.skew else grey
    size = (WIDE, HIGH if fine else HIGH // 2)
    small = numpy.asarray(turned.resize(size, Image.Resampling.BOX), dtype=numpy.float32)
    noise = numpy.random.default_rng(chance.randrange(2**32))
    if spoil.soft:
        small = small + noise.normal(0, 40 * spoil.soft, small.shape)
    ink = small < spoil.dark
    ink ^= noise.random(ink.shape) < spoil.specks
    for _blot in range(spoil.blots):
        x, y, r = chance.randrange(size[0]), chance.randrange(size[1]), chance.randrange(1, 4)
        ink[y : y + r, x : x + r] = True
    return Image.fromarray(~ink)
