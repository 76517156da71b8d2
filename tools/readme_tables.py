"""Updates the tables of all READMEs from the JSON files in results/.

    python -m tools.readme_tables           # `make results` runs this
    python -m tools.readme_tables --check   # exit with status 1 if a README is out of date

A table stands between two comments; the first one specifies it:

    <!-- results {"metrics": {"test.accuracy": "Test accuracy"}, "runs": ["mnist-softmax-book"]} -->
    <!-- /results -->

A run is named by its files, `<chapter>/<run>-seed<k>.json`. Several seeds are shown as mean ±
standard deviation, ten or more as median and quartiles. The commands stand below the table.
`<!-- benchmark {"ours": "Here", "pytorch": "PyTorch"} -->` shows the chapter's benchmark: the speed
of each contender as a multiple of the last one's.
`<!-- quality {"metrics": {"accuracy": "Accuracy"}, "programs": {"ours": "Here"}} -->` shows the
scores of that benchmark.
`<!-- speeds {"columns": ["Chapter", "Setting", "Ratio", "Peer", "Date", "Machine"], "peers":
{"pytorch": "PyTorch"}} -->` shows all benchmarks: ours as a multiple of the first peer of each.
`<!-- rows {"file": "compare", "where": {"map": "traps"}, "columns": {"lost": "Lost"}} -->` shows
columns of the "rows" of `<chapter>/compare.json` that have the given values.
`<!-- chapters {"columns": ["", "Project", "Demo, minutes", "Ours", "Book"], "rows": [...]} -->` is
the table of the root README. A row has the keys `chapter`, `project`, `demo` and `run` (names of
runs), `metric`, `digits` (behind its decimal point), `ours` (a format with {} for it) and `book`.
Where nothing is trained it has no `demo`, `run`, `metric` and `digits`, and `ours` is a text.
Column titles and names of programs are given in the README, in its language.
"""

import json
import re
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tools import pages

TABLE = re.compile(
    r"(<!-- (results|benchmark|quality|speeds|rows|chapters) (\{.*?\}) -->\n).*?(<!-- /\2 -->)",
    re.DOTALL)
# Metrics in [0, 1] that are read as per cent.
PERCENT = ("accuracy", "distinct", "exact_match", "form", "success")
CHINESE = {
    "Run": "运行", "Data": "数据", "Steps": "步数", "Seeds": "种子数",
    "Book": "书中", "Minutes, two cores": "双核分钟数",
    "Setting": "设置", "characters/s": "字符/秒", "images/s": "图像/秒", "steps/s": "步/秒",
    "pixels/s": "像素/秒", "target tokens/s": "目标词元/秒", "captions/s": "描述/秒",
    "Program": "程序", "pairs/s": "词对/秒",
}


def load(chapter: str, run: str) -> list[dict[str, Any]]:
    """Returns the results of a run, one per seed.

    Raises:
        FileNotFoundError: no results are published under this name.
    """
    paths = sorted((pages.ROOT / "results" / chapter).glob(f"{run}-seed*.json"))
    if not paths:
        raise FileNotFoundError(f"results/{chapter}/{run}-seed*.json")
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def show(name: str, values: Sequence[float]) -> str:
    """Formats a metric's values over seeds as `mean ± std` or `median (quartiles)`.

    Fractions have three digits, small ones four.
    """
    if any(word in name for word in PERCENT):
        scale, digits, unit = 100, 2, " %"
    elif all(isinstance(value, int) for value in values):  # counts are whole
        scale, digits, unit = 1, 0, ""
    else:
        scale, digits, unit = 1, 4 if 0 < max(map(abs, values)) < 0.002 else 3, ""
    if len(values) >= 10:
        low, median, high = (f"{scale * value:,.{digits}f}"
                             for value in statistics.quantiles(values, method="inclusive"))
        return f"{median} ({low} – {high}){unit}"
    mean = f"{scale * statistics.fmean(values):.{digits}f}"
    spread = f" ± {scale * statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return mean + spread + unit


def translate(term: str, chinese: bool) -> str:
    """Returns a term of the tables in the language of the README."""
    return CHINESE.get(term, term) if chinese else term


def markdown(rows: Sequence[Sequence[str]], chinese: bool) -> str:
    """Returns a Markdown table; the first row is its header."""
    head, *body = rows
    lines = [[translate(cell, chinese) for cell in head], ["---"] * len(head), *body]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def results_table(chapter: str, spec: dict[str, Any], chinese: bool) -> str:
    """Returns the table of some runs and metrics, then the command of each run.

    Values that all runs share stand in one line below the table, not in a column. A run without
    an evaluation that another one has gets a dash.
    """
    metrics = spec["metrics"]
    columns: dict[str, list[str]] = {name: [] for name in (
        "Run", "Data", "Steps", "Seeds", *metrics.values(), "Book", "Minutes, two cores")}
    commands = ""
    for run in spec["runs"]:
        results = load(chapter, run)
        first = results[0]
        cells = []
        for name in metrics:
            split, metric = name.split(".")
            found = [result["metrics"].get(split) for result in results]
            cells.append("–" if None in found else show(metric, [row[metric] for row in found]))
        book = [show(metric, [value]) for metric, value in first["book"].items()]
        steps = [result["steps"] for result in results]
        minutes = statistics.fmean(result["minutes_two_cores"] for result in results)
        row = [run, first["dataset"],
               f"{steps[0]:,}" if len(set(steps)) == 1 else show("steps", steps),
               str(len(results)), *cells, ", ".join(book) or "–",
               f"{minutes:.1f}" if minutes >= 1 else f"{minutes:.2f}"]
        for column, cell in zip(columns.values(), row, strict=True):
            column.append(cell)
        commands += f"# {run}\n{first['command']}\n"
    for name, column in metrics.items():
        if set(columns[column]) == {"–"}:
            raise KeyError(f"{name} of {', '.join(spec['runs'])}")
    shared = {name: columns.pop(name)[0] for name in ("Data", "Steps", "Seeds", "Book")
              if len(set(columns[name])) == 1}
    colon = "：" if chinese else ": "
    facts = " · ".join(translate(name, chinese) + colon + cell
                       for name, cell in shared.items() if cell != "–")
    table = markdown([list(columns), *zip(*columns.values(), strict=True)], chinese)
    return "\n".join([table, *([facts, ""] if facts else []), f"```bash\n{commands}```\n"])


def benchmark_table(chapter: str, columns: dict[str, str], chinese: bool) -> str:
    """Returns the table of a benchmark, one setting per row."""
    path = pages.ROOT / "results" / "benchmarks" / f"{chapter}.json"
    benchmark = json.loads(path.read_text(encoding="utf-8"))
    unit = CHINESE[benchmark["unit"]] if chinese else benchmark["unit"]
    *others, peer = columns
    rows = [["Setting", *columns.values()]]
    for setting, result in benchmark["settings"].items():
        medians = result["medians"]
        ratios = [f"{medians[name] / medians[peer]:.2f}×" for name in others]
        rows.append([setting, *ratios, f"1 = {medians[peer]:,} {unit}"])
    return markdown(rows, chinese)


def quality_table(chapter: str, spec: dict[str, Any], chinese: bool) -> str:
    """Returns the scores of a benchmark, one contender on one data set per row."""
    path = pages.ROOT / "results" / "benchmarks" / f"{chapter}.json"
    quality = json.loads(path.read_text(encoding="utf-8"))["quality"]
    rows = [["Data", "Program", *spec["metrics"].values()]]
    for dataset, scores in quality.items():
        for name, title in spec["programs"].items():
            cells = [show(metric, scores[name][metric]) for metric in spec["metrics"]]
            rows.append([dataset, title, *cells])
    return markdown(rows, chinese)


def speeds_table(folder: str, spec: dict[str, Any], chinese: bool) -> str:
    """Returns the table of all benchmarks, one setting per row; `folder` is not used."""
    rows = [spec["columns"]]
    for path in sorted((pages.ROOT / "results" / "benchmarks").glob("*.json")):
        benchmark = json.loads(path.read_text(encoding="utf-8"))
        machine = benchmark.get("machine", f"{benchmark['cpus']} cores")  # older ones have no name
        page = "README.zh-CN.md" if chinese else "README.md"
        for setting, result in benchmark["settings"].items():
            medians = result["medians"]
            peer = next(name for name in spec["peers"] if name in medians)
            best = max(speed for name, speed in medians.items() if name.startswith(peer))
            rows.append([f"[{int(path.stem[7:9])}](../{path.stem}/{page})", setting,
                         f"{medians['ours'] / best:.2f}×", spec["peers"][peer],
                         benchmark["date"], machine])
    return markdown(rows, chinese)


def texts(column: Sequence[Any]) -> list[str]:
    """Returns the cells of a column; its fractions have as many digits as one needs, at most 3."""
    fractions = [round(cell, 3) for cell in column if isinstance(cell, float)]
    digits = max((len(str(fraction).partition(".")[2]) for fraction in fractions), default=0)
    return [f"{cell:.{digits}f}" if isinstance(cell, float) else
            span(cell) if isinstance(cell, list) else str(cell) for cell in column]


def span(ends: Sequence[Any]) -> str:
    """Returns "from–to", or "from … to" where a sign would meet the dash."""
    words = dict.fromkeys(map(str, ends))
    return (" … " if any(word.startswith("-") for word in words) else "–").join(words)


def rows_table(chapter: str, spec: dict[str, Any], chinese: bool) -> str:
    """Returns the table of a file's rows; pairs of numbers are shown as from–to."""
    path = pages.ROOT / "results" / chapter / f"{spec['file']}.json"
    rows = [row for row in json.loads(path.read_text(encoding="utf-8"))["rows"]
            if spec["where"].items() <= row.items()]
    columns = [texts([row[name] for row in rows]) for name in spec["columns"]]
    return markdown([list(spec["columns"].values()), *zip(*columns, strict=True)], chinese)


def measured(row: dict[str, Any]) -> tuple[str, str]:
    """Returns the minutes of a chapter's demo, and its number in words."""
    results, (split, metric) = load(row["chapter"], row["run"]), row["metric"].split(".")
    values = [result["metrics"][split][metric] for result in results]
    scale = 100 if any(word in metric for word in PERCENT) else 1
    mean, digits = scale * statistics.fmean(values), row["digits"]
    spread = scale * statistics.stdev(values) if len(values) > 1 else 0
    shown = f"{mean:.{digits}f}" + (f" ± {spread:.{digits}f}" if spread else "")
    demo, *_ = load(row["chapter"], row["demo"])
    return f"{max(demo['minutes_two_cores'], 0.1):.1f}", row["ours"].format(shown)


def chapters_table(folder: str, spec: dict[str, Any], chinese: bool) -> str:
    """Returns the table of all chapters with one number of each; `folder` is not used."""
    rows = [spec["columns"]]
    for row in spec["rows"]:
        minutes, ours = measured(row) if "run" in row else ("–", row["ours"])
        page = "README.zh-CN.md" if chinese else "README.md"
        number = row["chapter"].split("_")[1].upper()  # of an appendix: a letter
        if row["chapter"].startswith("chapter"):
            number = row["chapter"][7:9].lstrip("0")
        rows.append([number,
                     f"[{row['project']}]({row['chapter']}/{page})",
                     minutes, ours, row["book"]])
    return markdown(rows, chinese)


def update(readme: Path) -> str:
    """Returns the text of a README with all its tables updated."""

    def replace(match: re.Match[str]) -> str:
        start, kind, spec, end = match.groups()
        make = {"results": results_table, "benchmark": benchmark_table,
                "quality": quality_table, "speeds": speeds_table, "rows": rows_table,
                "chapters": chapters_table}[kind]
        return start + make(readme.parent.name, json.loads(spec), ".zh-CN" in readme.name) + end

    return TABLE.sub(replace, readme.read_text(encoding="utf-8"))


def render() -> Iterator[tuple[Path, str]]:
    """Yields each README and its updated text."""
    for readme in [*sorted(pages.ROOT.glob("README*.md")), *pages.chapter_files("README*.md"),
                   *sorted(pages.ROOT.glob("benchmarks/README*.md"))]:
        yield readme, update(readme)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes or checks the READMEs."""
    return pages.run(__doc__, render, argv)


if __name__ == "__main__":
    sys.exit(main())
