"""Describes a week at the street door."""

from __future__ import annotations

from .actors import Coming, Stay
from .cast import Role
from .week import Report


def table(report: Report) -> str:
    """Return the lines that ``docs/security.md`` shows."""
    verdict = report.verdict
    lines = [
        f"{'who':<34} {'came':>6} {'let in':>7} {'key':>5} {'told of a lockout':>18}",
        _line("residents, by day", _some(report, dark=False), report),
        _line("residents, in the dark", _some(report, dark=True), report),
        _line("residents, phone asked for", [c for c in _clear(report) if c.with_phone], report),
        _line("residents, camera frozen", [c for c in report.comings if c.frozen], report),
    ]
    openings = verdict.openings
    for role, came in (
        (Role.LEAVING, report.happened.get("leave", 0)),
        (Role.BARRED, report.happened.get("barred", 0)),
        (Role.COURIER, sum(s.role is Role.COURIER for s in report.stays)),
        (Role.VISITOR, sum(s.role is Role.VISITOR for s in report.stays)),
        (Role.PASSER_BY, report.passed.get("all", 0) + report.happened.get("linger", 0)),
        (Role.POSTER, report.happened.get("poster up", 0)),
    ):
        lines.append(f"{role:<34} {came:>6} {openings.get(role, 0):>7} {'':>5} {'':>18}")
    couriers = [s for s in report.stays if s.role is Role.COURIER]
    alone = [s for s in couriers if s.alone]
    told = ", ".join(f"{reason} {count}" for reason, count in sorted(verdict.told.items()))
    standing = (
        f"failures while a courier stood there for {_longest(couriers):.0f} s: at most "
        f"{max((s.failures for s in couriers), default=0)}; events while {len(alone)} were alone, "
        f"for {_longest(alone):.0f} s: at most {max((s.events for s in alone), default=0)}"
    )
    lockouts = (
        f"lockouts: {len(verdict.lockouts)}, {sum(s for _, s in verdict.lockouts):.0f} s in all; "
        f"failures at most {verdict.worst_failures}"
    )
    threshold = (
        f"threshold {report.threshold} ({report.rate}), at which the table misses "
        f"{report.missed_by_day:.0%} of visits by day and {report.missed_by_night:.0%} by night"
    )
    summary = (
        f"street: {'FAILED' if report.faults else 'ok'}; {report.days:g} days, "
        f"{report.pictures} pictures, {sum(openings.values())} openings, "
        f"{len(verdict.wrong)} wrong, {len(verdict.mistaken)} strangers let in, "
        f"{len(verdict.refused_for_lockout)} residents refused for a lockout; "
        f"{report.seconds:.0f} s"
    )
    lines += [
        f"passers-by who showed a face: {report.passed.get('looked', 0)}",
        f"events: {told}",
        standing,
        lockouts,
        f"openings for residents who had been let in and looked again: {verdict.again}",
        f"longest time unlocked: {verdict.longest_unlocked:.0f} s",
        threshold,
        *(f"STRANGER LET IN: {text}" for text in verdict.mistaken),
        *(f"FAILED: {fault}" for fault in report.faults),
        summary,
    ]
    return "\n".join(lines)


def _longest(stays: list[Stay]) -> float:
    return max((stay.seconds for stay in stays), default=0.0)


def _clear(report: Report) -> list[Coming]:
    return [coming for coming in report.comings if not coming.frozen]


def _some(report: Report, *, dark: bool) -> list[Coming]:
    return [c for c in _clear(report) if c.dark == dark and not c.with_phone]


def _line(name: str, comings: list[Coming], report: Report) -> str:
    del report
    let_in = sum(c.waited is not None for c in comings)
    lockout = sum("locked_out" in c.refused for c in comings)
    return f"{name:<34} {len(comings):>6} {let_in:>7} {len(comings) - let_in:>5} {lockout:>18}"
