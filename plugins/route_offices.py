"""Where an incident goes: the offices of the hour, those that always receive, leaders, and departments by kind of incident.

The table is data (conf/routes.d). An office that two rules name is named once, by the first of them: receiving comes
before being informed, being informed before co-operating. An incident of two kinds obeys the rules of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from gateway.api import (
    Destination,
    Directory,
    Field,
    Incident,
    IncidentKind,
    Moment,
    OfficeId,
    RouterPlugin,
    hookimpl,
)
from gateway.api import Settings as BaseSettings

Offices = tuple[OfficeId, ...]


class LeadingGroup(BaseSettings):
    """A leading group's office (领导小组办公室) that takes some kinds of incident straight."""

    office: OfficeId = Field(description="its office")
    kinds: tuple[IncidentKind, ...] = Field(min_length=1, description="the kinds of incident it takes")
    mode: Literal["also", "instead"] = Field(default="also", description="beside the offices of the hour, or in their place")


class RouteSettings(BaseSettings):
    """Offices by id or display name."""

    working: Offices = Field(min_length=1, description="receive in working hours")
    out_of_hours: Offices = Field(min_length=1, description="receive out of working hours")
    always: Offices = Field(default=(), description="receive at any hour")
    sensitive: Offices = Field(default=(), description="receive sensitive incidents as well")
    inform: Offices = Field(default=(), description="are told of everything at the first moment")
    leading_group: tuple[LeadingGroup, ...] = Field(default=(), description="leading groups by kind of incident")
    superior: Mapping[IncidentKind, Offices] = Field(
        default={}, description="superior departments by kind; a copy does not discharge the unit's own duty"
    )
    cooperate: Mapping[IncidentKind, Offices] = Field(default={}, description="co-operating departments by kind")
    names: Mapping[IncidentKind, str] = Field(default={}, description="kinds as they are told to people; else their ids")


class RouteOffices:
    """Routing by the hour, the kind and the sensitivity of an incident."""

    kind: ClassVar[str] = "route_offices"
    Settings: ClassVar[type[BaseSettings]] = RouteSettings

    def __init__(self, name: str, settings: RouteSettings) -> None:
        self.name = name
        self.settings = settings

    def route(self, incident: Incident, moment: Moment, directory: Directory) -> list[Destination]:
        """The destinations of ``incident`` at ``moment``, each office once."""
        named: dict[str, Destination] = {}
        for destination in self._all(incident, moment):
            named.setdefault(destination.office, destination)
        return list(named.values())

    def _all(self, incident: Incident, moment: Moment) -> Iterator[Destination]:
        rules = self.settings
        groups = [group for group in rules.leading_group if set(group.kinds) & set(incident.kinds)]
        for group in groups:
            yield Destination(office=group.office, because=f"领导小组直收：{self._shared(group, incident)}")
        if not self._replaced(incident, groups):
            side = "工作时间" if moment.working else f"非工作时间（{moment.why}）"
            for office in rules.working if moment.working else rules.out_of_hours:
                yield Destination(office=office, because=side)
        for office in rules.always:
            yield Destination(office=office, because="全天接收")
        for office in rules.sensitive if incident.sensitive else ():
            yield Destination(office=office, because="内容敏感")
        for office in rules.inform:
            yield Destination(office=office, because="第一时间报告", duty="inform")
        for kind in incident.kinds:
            for office in rules.superior.get(kind, ()):
                yield Destination(office=office, because=f"上级职能部门：{self._told(kind)}（不代替单位双重上报）", duty="inform")
        for kind in incident.kinds:
            for office in rules.cooperate.get(kind, ()):
                yield Destination(office=office, because=f"协同部门：{self._told(kind)}", duty="cooperate")

    def _told(self, kind: str) -> str:
        return self.settings.names.get(kind, kind)

    def _shared(self, group: LeadingGroup, incident: Incident) -> str:
        return "、".join(self._told(kind) for kind in group.kinds if kind in incident.kinds)

    @staticmethod
    def _replaced(incident: Incident, groups: list[LeadingGroup]) -> bool:
        """True if groups that take over cover every kind of the incident; a kind nobody took keeps the hour's offices."""
        taken = {kind for group in groups if group.mode == "instead" for kind in group.kinds}
        return bool(incident.kinds) and set(incident.kinds) <= taken


@hookimpl
def routers() -> list[type[RouterPlugin]]:
    """The router of this module."""
    return [RouteOffices]
