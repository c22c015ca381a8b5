"""The settings classes of papers.toml: what papers are called, who issues them, their type, and the wordings of the reports."""

from __future__ import annotations

from string import Template
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.i18n import _
from gateway.reference import OfficeId, TransportName
from gateway.settings_base import Section, wrong

UNIT_WORDS = frozenset({"unit", "rate", "due", "done", "late", "missed", "reports"})
FINDING_WORDS = frozenset({"units", "count", "confirmed", "incidents"})
Metric = Literal["rate", "late", "missed", "false", "suspected", "concealed", "owed", "unacknowledged"]


def _names(allowed: frozenset[str]) -> AfterValidator:
    def check(value: str) -> str:
        unknown = sorted(set(Template(value).get_identifiers()) - allowed)
        if unknown:
            known = ", ".join(f"${name}" for name in sorted(allowed))
            raise wrong(_("unknown placeholder {name}").format(name="$" + unknown[0]), known)
        return value

    return AfterValidator(check)


UnitText = Annotated[str, Field(max_length=500), _names(UNIT_WORDS)]
FindingText = Annotated[str, Field(max_length=500), _names(FINDING_WORDS)]
Faces = Annotated[tuple[Annotated[str, Field(pattern=r'^[^"<>;{}\\\x00-\x1f]{1,80}$')], ...], Field(min_length=1)]


class UrgencyEntry(Section):
    """How urgent a paper says it is."""

    levels: tuple[str, ...] = Field(default=(), description="degrees of an accident; none: all others")
    word: str = Field(min_length=1, max_length=10, description="the urgency (紧急程度)")


class PaperSection(Section):
    """What papers say of themselves."""

    issuer: str = Field(default="", max_length=50, description="the office that issues and prints; empty: the city's 值班室")
    to: str = Field(default="市委、市政府领导", max_length=100, description="whom they address (主送)")
    copies: str = Field(default="", max_length=200, description="who gets copies (抄送); empty: nobody")
    marking: str = Field(default="内部资料　注意保管", max_length=40, description="upper left; never a degree of secrecy")
    head: str = Field(default="值班信息", min_length=1, max_length=16, description="the red heading")
    urgent_head: str = Field(default="紧急信息专报", min_length=1, max_length=16, description="that of grave incidents")
    urgent_levels: tuple[str, ...] = Field(
        default=("特别重大", "重大", "较大"), description="degrees of an accident that are grave"
    )
    head_pt: float = Field(default=44, ge=22, le=80, description="size of the red heading in points")
    most_pages: int = Field(default=20, ge=1, le=200, description="a paper that needs more pages is not made")
    most_characters: int = Field(
        default=20_000,
        ge=1000,
        le=500_000,
        description="of a report's own words that are attached; the rest is left out, marked so",
    )
    urgency: tuple[UrgencyEntry, ...] = Field(
        default=(UrgencyEntry(levels=("特别重大", "重大", "较大"), word="特急"), UrgencyEntry(word="加急")),
        description="how urgent papers say they are, the first that fits",
    )

    @model_validator(mode="after")
    def _no_secrets(self) -> PaperSection:
        if any(word in self.marking for word in ("绝密", "机密", "秘密")):
            raise wrong(_("a degree of secrecy: what has one is never printed here"), _("another marking, or none"))
        return self


class FontsSection(Section):
    """Families of type, the first that this host has is used. Real names first, what Debian offers after them."""

    title: Faces = Field(
        default=("方正小标宋简体", "FZXiaoBiaoSong-B05S", "小标宋", "Noto Serif CJK SC"), description="headings (小标宋体)"
    )
    fangsong: Faces = Field(
        default=("仿宋_GB2312", "FangSong_GB2312", "仿宋", "FangSong", "STFangsong", "Noto Serif CJK SC"),
        description="text (仿宋体)",
    )
    hei: Faces = Field(
        default=("黑体", "SimHei", "STHeiti", "Noto Sans CJK SC"), description="marking, urgency and first headings (黑体)"
    )
    kai: Faces = Field(
        default=("楷体_GB2312", "楷体", "KaiTi", "STKaiti", "AR PL KaitiM GB", "Noto Serif CJK SC"),
        description="second headings and the signatory (楷体)",
    )
    song: Faces = Field(default=("宋体", "SimSun", "STSong", "Noto Serif CJK SC"), description="page numbers and tables (宋体)")


class PressSection(Section):
    """The process that makes pages."""

    seconds: float = Field(default=25.0, gt=0, le=600, description="time for one paper; then the plain page goes out instead")
    memory_mb: int = Field(default=1024, ge=256, le=65_536, description="its memory, in MiB")


class RatingEntry(Section):
    """What is said of a unit by its rate."""

    at_least: float = Field(ge=0, le=100, description="percent; the first that fits is used, so the highest stands first")
    text: UnitText = Field(description="the sentence: $unit $rate $due $done $late $missed $reports")


class FindingEntry(Section):
    """One problem with its suggestion, told where the figures show it."""

    metric: Metric = Field(description="what is looked at")
    below: float = Field(default=100.0, ge=0, le=100, description="of the metric rate: percent under which a unit is named")
    at_least: int = Field(default=1, ge=1, le=100_000, description="of the others: how many make a unit be named")
    problem: FindingText = Field(description="what is wrong: $units $count $confirmed $incidents")
    suggestion: FindingText = Field(description="what to do about it")


class SituationSection(Section):
    """信息报送情况报告 and the other papers made from figures."""

    to: str = Field(default="尊敬的领导", max_length=100, description="whom it addresses")
    units_to: str = Field(
        default="各报送单位", max_length=100, description="whom circular, ranking and the list of obligations address"
    )
    office: str = Field(default="", max_length=50, description="who signs; empty: the issuer of papers")
    nothing_due: str = Field(default="本期无应报事项。", max_length=200, description="of a unit that owed nothing")
    no_problem: str = Field(default="本期未发现突出问题。", max_length=200, description="where no finding fits")
    rating: tuple[RatingEntry, ...] = Field(
        default=(
            RatingEntry(at_least=100, text="本期应报$due条次，全部按时报送，报送情况良好。"),
            RatingEntry(at_least=90, text="本期应报$due条次，按时报送$done条次，多数能够按时，个别迟延。"),
            RatingEntry(at_least=75, text="本期应报$due条次，按时报送$done条次，时效性不够稳定，需要加强。"),
            RatingEntry(at_least=0, text="本期应报$due条次，仅按时报送$done条次，报送不力，须限期整改。"),
        ),
        description="sentences by rate",
    )
    finding: tuple[FindingEntry, ...] = Field(
        default=(
            FindingEntry(
                metric="concealed",
                problem="$units有经认定的瞒报$count起（$incidents）",
                suggestion="建议依照责任追究规定处理并通报",
            ),
            FindingEntry(
                metric="missed",
                problem="$units超过时限未报$count起，其中经认定漏报$confirmed起（$incidents）",
                suggestion="建议查明原因，落实专人专岗",
            ),
            FindingEntry(
                metric="late",
                problem="$units超过时限报送$count起，其中经认定迟报$confirmed起（$incidents）",
                suggestion="建议先电话报告要情、后续报详情，压缩内部流转时间",
            ),
            FindingEntry(
                metric="false",
                problem="$units有事后更正的报告$count起，其中经认定误报$confirmed起（$incidents）",
                suggestion="建议报前核实，更正及时续报",
            ),
            FindingEntry(
                metric="suspected",
                problem="$units有疑似瞒报$count起（$incidents），尚待核实",
                suggestion="建议尽快组织核查并作出认定",
            ),
            FindingEntry(
                metric="rate",
                below=90,
                problem="$units报送率不足九成",
                suggestion="建议加强对信息员的管理和培训",
            ),
            FindingEntry(
                metric="owed",
                problem="$units未完成信息报送任务，共缺$count条",
                suggestion="建议按月督促，补足报送数量",
            ),
            FindingEntry(
                metric="unacknowledged",
                problem="有$count起事件未见接收单位签收（$incidents）",
                suggestion="建议值班室逐一核对签收情况",
            ),
        ),
        description="problems and suggestions, in this order",
    )  # fmt: skip

    @model_validator(mode="after")
    def _ordered(self) -> SituationSection:
        limits = [one.at_least for one in self.rating]
        if limits != sorted(limits, reverse=True) or not limits or limits[-1] != 0:
            raise wrong(_("the sentences by rate are out of order, or leave low rates without one"), _("falling, the last at 0"))
        return self


class BriefSection(Section):
    """The morning brief (值班快报) of the last 24 hours."""

    offices: tuple[OfficeId, ...] = Field(default=(), description="who gets it, by id or display name; none: no brief")
    hour: int = Field(default=8, ge=0, le=23, description="hour of the day, local time")
    head: str = Field(default="值班快报", min_length=1, max_length=16, description="the red heading")


class StandbySection(Section):
    """The board on paper (备用看板) for when the machine is down: what is open, whom to ring up, who is on duty."""

    enabled: bool = Field(default=True, description="true: it is kept up to date as a file")
    minutes: int = Field(default=10, ge=1, le=240, description="it is made anew so often")
    valid_minutes: int = Field(default=30, ge=2, le=1440, description="how long a sheet says that it may be relied on")
    forms: tuple[Literal["html", "pdf"], ...] = Field(
        default=("html",), min_length=1, description="html; pdf besides, which takes some seconds of one processor each time"
    )
    folder: str = Field(
        default="standby", min_length=1, max_length=400, description="where board.html and board.pdf lie; within the state folder"
        " where it does not begin with /",
    )  # fmt: skip
    title: str = Field(default="值班备用看板", min_length=1, max_length=30, description="what it is called")
    most: int = Field(default=200, ge=1, le=2000, description="open incidents on it, the newest; the rest is counted")
    call_lists: int = Field(default=12, ge=0, le=500, description="open incidents with a call list of their own, the newest")
    most_pages: int = Field(default=100, ge=1, le=500, description="a sheet that needs more pages is not made as pages")
    roster_hours: int = Field(default=24, ge=1, le=168, description="turns of the roster that begin or go on within this time")
    transport: TransportName | Literal[""] = Field(default="", description="to_print or to_fax; empty: it is not printed")
    address: str = Field(default="", max_length=200, description="the printer, as that transport knows it")
    office: OfficeId | Literal[""] = Field(default="", description="whose printer it is, by id or display name")
    print_minutes: int = Field(default=60, ge=1, le=1440, description="it is printed so often")

    @model_validator(mode="after")
    def _whole(self) -> StandbySection:
        if self.transport and not (self.address and self.office):
            raise wrong(_("it cannot be printed"), _("address and office beside transport"))
        if self.valid_minutes < self.minutes:
            raise wrong(_("a sheet would not be valid until the next is made"), _("valid_minutes not less than minutes"))
        return self


class PapersFile(Section):
    """papers.toml. A file that is left out leaves everything as it is here."""

    paper: PaperSection = PaperSection()
    fonts: FontsSection = FontsSection()
    press: PressSection = PressSection()
    situation: SituationSection = SituationSection()
    brief: BriefSection = BriefSection()
    standby: StandbySection = StandbySection()
