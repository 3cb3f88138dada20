"""The status page: one HTML document without scripts, made of an overview."""

from collections.abc import Iterable
from html import escape

from coopfs.match.overview import Level, Match, Member, Overview
from coopfs.sizes import format_size

_STYLE = """
:root { color-scheme: light dark; --back: #f6f7f4; --card: #fff; --text: #1d2521; --soft: #66736c; --line: #e2e6e0;
  --have: #2f7d5b; --lack: #e0a03c; }
@media (prefers-color-scheme: dark) { :root { --back: #141816; --card: #1d2320; --text: #e6ebe7; --soft: #93a099;
  --line: #2d3531; --have: #4fae83; --lack: #d99a3a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2.5rem 1.25rem 4rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 1.05rem; margin: 0 0 .75rem; }
header p, footer { color: var(--soft); margin: .25rem 0 0; max-width: 46rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem;
  margin-top: 1.25rem; overflow-x: auto; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1rem; padding: 0;
  background: none; border: 0; }
.figures div { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem 1.25rem; }
.figures b { display: block; font-size: 1.9rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.figures span { color: var(--soft); font-size: .9rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th { color: var(--soft); font-weight: 500; text-align: left; padding: 0 1rem .4rem 0; white-space: nowrap; }
td { border-top: 1px solid var(--line); padding: .45rem 1rem .45rem 0; white-space: nowrap; }
td:last-child, th:last-child { padding-right: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.wide { width: 40%; min-width: 10rem; }
.bar { display: flex; height: .7rem; border-radius: .35rem; overflow: hidden; background: var(--line); }
.bar i { display: block; background: var(--have); } .bar i + i { background: var(--lack); }
.key { display: inline-block; width: .7rem; height: .7rem; border-radius: .2rem; margin: 0 .3rem 0 1rem; }
.soft { color: var(--soft); } code { font-size: .9em; } footer { margin-top: 1.5rem; font-size: .9rem; }
"""


def render(overview: Overview) -> str:
    """A whole page, to be fetched again by itself each minute."""
    lacked = sum(level.lacked for level in overview.levels)
    swapped = sum(level.had * level.size for level in overview.levels)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="60">
<title>coopfs matching server: {overview.members} members</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>coopfs matching server</h1>
<p>Nodes that back each other up find their partners here. They agree with each other directly: this server sees what
they offer, never what they keep.</p>
</header>
<section class="figures" aria-label="Figures">
<div><b>{overview.members:,}</b><span>members</span></div>
<div><b>{overview.sites:,}</b><span>sites</span></div>
<div><b>{lacked:,}</b><span>partners looked for</span></div>
<div><b>{escape(format_size(swapped))}</b><span>swapped by members</span></div>
</section>
<section>
<h2>Supply and demand</h2>
{_levels(overview.levels)}
</section>
<section>
<h2>Recent matches</h2>
{_matches(overview.matches)}
</section>
<section>
<h2>Members heard last</h2>
{_members(overview.newest)}
</section>
<footer>Nothing here is kept longer than needed: nodes announce themselves every ten minutes, and are forgotten half an
hour after the last time. For programs: <a href="/v0/status">/v0/status</a>,
<a href="/v0/openapi.json">/v0/openapi.json</a>.</footer>
</body>
</html>
"""


def _table(names: Iterable[str], rows: Iterable[str]) -> str:
    return f"<table><thead><tr>{''.join(names)}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _head(*names: str) -> list[str]:
    """A name that ends in # stands over numbers."""
    return [f'<th class="number">{n[:-1]}</th>' if n.endswith("#") else f"<th>{n}</th>" for n in names]


def _levels(levels: tuple[Level, ...]) -> str:
    if not levels:
        return '<p class="soft">Nobody has announced itself yet.</p>'
    legend = (
        '<th class="wide">Partners<span class="key" style="background:var(--have)"></span>found'
        '<span class="key" style="background:var(--lack)"></span>looked for</th>'
    )
    names = [*_head("Each gives", "Uptime", "Members#", "Looking#"), legend]
    most = max(level.had + level.lacked for level in levels) or 1
    return _table(names, (_level(level, most) for level in levels))


def _level(level: Level, most: int) -> str:
    had, lacked = (f"{100 * count / most:.1f}%" for count in (level.had, level.lacked))
    return (
        f"<tr><td>{escape(format_size(level.size))}</td><td>{escape(level.uptime)}</td>"
        f'<td class="number">{level.members:,}</td><td class="number">{level.lacking:,}</td>'
        f'<td><div class="bar" title="{level.had:,} found, {level.lacked:,} looked for">'
        f'<i style="width:{had}"></i><i style="width:{lacked}"></i></div></td></tr>'
    )


def _matches(matches: tuple[Match, ...]) -> str:
    if not matches:
        return '<p class="soft">None has been reported yet.</p>'
    rows = (
        f"<tr><td>{_site(match.one)} <span class='soft'>and</span> {_site(match.two)}</td>"
        f"<td>{escape(format_size(match.size))} each way</td><td class='soft'>{_ago(match.age)}</td></tr>"
        for match in matches
    )
    return _table(_head("Between", "Swapped", "When"), rows)


def _members(members: tuple[Member, ...]) -> str:
    if not members:
        return '<p class="soft">Nobody has announced itself yet.</p>'
    rows = (
        f"<tr><td><code>{escape(member.key)}</code></td><td>{_site(member.site)}</td><td>{escape(member.system)}</td>"
        f"<td>{escape(format_size(member.size))}, {escape(member.uptime)}</td>"
        f'<td class="number">{member.partners} of {member.partners + member.needs}</td>'
        f'<td class="soft">{_ago(member.age)}</td></tr>'
        for member in members
    )
    return _table(_head("Node", "Site", "System", "Level", "Partners#", "Heard"), rows)


def _site(text: str) -> str:
    return escape(text) if text else '<span class="soft">a site without a name</span>'


def _ago(seconds: int) -> str:
    if seconds < 60:
        return "just now"
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} min ago"
    hours = minutes // 60
    return f"{hours} h ago" if hours < 48 else f"{hours // 24} days ago"
