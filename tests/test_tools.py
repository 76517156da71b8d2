"""The generated tables and links against small repositories made for the test."""

import pytest

from common import files
from tools import code_links, pages
from tools import readme_tables as tables

CHAPTER = "chapter99_test"
MARKED = """# Title
<!-- results {"metrics": {"test.accuracy": "%s"}, "runs": ["mnist-conv", "mnist-conv-best"]} -->
%s<!-- /results -->
End
"""
BODY = """| --- | --- | --- | --- | --- |
| mnist-conv | 2 | 99.20 ± 0.28 %% | 99.10 %% | 3.0 |
| mnist-conv-best | 1 | 99.60 %% | – | 0.25 |

%s

```bash
# mnist-conv
python train.py
# mnist-conv-best
python train.py --preset best
```
"""
ENGLISH = ("| Run | Seeds | Accuracy | Book | Minutes, two cores |\n"
           + BODY % "Data: mnist · Steps: 20,000")
CHINESE = "| 运行 | 种子数 | 准确率 | 书中 | 双核分钟数 |\n" + BODY % "数据：mnist · 步数：20,000"


@pytest.fixture
def readmes(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    folder, chapter = tmp_path / "results" / CHAPTER, tmp_path / CHAPTER
    folder.mkdir(parents=True)
    chapter.mkdir()
    for seed, accuracy in enumerate([0.99, 0.994]):
        files.write_json(folder / f"mnist-conv-seed{seed}.json", {
            "command": "python train.py", "dataset": "mnist", "steps": 20000,
            "metrics": {"test": {"accuracy": accuracy, "examples": 10000}},
            "book": {"accuracy": 0.991}, "minutes_two_cores": 2.5 + seed,
        })
    files.write_json(folder / "mnist-conv-best-seed0.json", {
        "command": "python train.py --preset best", "dataset": "mnist", "steps": 20000,
        "metrics": {"test": {"accuracy": 0.996}}, "book": {}, "minutes_two_cores": 0.25,
    })
    (chapter / "README.md").write_text(MARKED % ("Accuracy", "stale\n"))
    (chapter / "README.zh-CN.md").write_text(MARKED % ("准确率", ""))
    (tmp_path / "README.md").write_text("no table\n")
    return chapter


def test_tables_are_checked_and_written(readmes, capsys):
    assert tables.main(["--check"]) == 1
    assert f"{CHAPTER}/README.md: out of date" in capsys.readouterr().out
    assert "stale" in (readmes / "README.md").read_text()
    assert tables.main([]) == 0
    assert (readmes / "README.md").read_text() == MARKED % ("Accuracy", ENGLISH)
    assert (readmes / "README.zh-CN.md").read_text() == MARKED % ("准确率", CHINESE)
    assert tables.main(["--check"]) == 0
    assert tables.main([]) == 0 and capsys.readouterr().out.count("written") == 2


def test_pairs_of_numbers_are_spans():
    column = [[74.4, 96.5], [3, 3], [-51.0, -48.4]]
    assert tables.texts(column) == ["74.4–96.5", "3", "-51.0 … -48.4"]


def test_tables_of_unpublished_runs_are_named(readmes):
    for path in (pages.ROOT / "results" / CHAPTER).iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="mnist-conv-seed"):
        tables.main(["--check"])


def test_benchmarks_are_shown_as_multiples_of_the_last_column(readmes):
    (pages.ROOT / "results" / "benchmarks").mkdir()
    files.write_json(pages.ROOT / "results" / "benchmarks" / f"{CHAPTER}.json", {
        "unit": "images/s",
        "settings": {"batch 128": {"medians": {"ours": 3000, "other": 1, "pytorch": 2000}}},
    })
    mark = '<!-- benchmark {"ours": "Ours", "pytorch": "PyTorch"} -->\n'
    for name in ("README.md", "README.zh-CN.md"):
        (readmes / name).write_text(mark + "<!-- /benchmark -->\n")
    assert tables.main([]) == 0
    for name, head, unit in (("README.md", "Setting", "images"),
                             ("README.zh-CN.md", "设置", "图像")):
        table = (readmes / name).read_text().removeprefix(mark).splitlines()
        assert table[0] == f"| {head} | Ours | PyTorch |"
        assert table[2].startswith(f"| batch 128 | 1.50× | 1 = 2,000 {unit}")


def test_all_speeds_are_shown_beside_their_peers(readmes):
    (pages.ROOT / "results" / "benchmarks").mkdir()
    for chapter, peer, more in (("chapter05_a", "torch", {"machine": "CPU, 4 cores"}),
                                ("chapter12_b", "mtcnn", {})):
        medians = {"ours": 3, peer: 2}
        files.write_json(pages.ROOT / "results" / "benchmarks" / f"{chapter}.json", {
            "date": "2026-01-02", "cpus": 2, "settings": {"batch 8": {"medians": medians}}, **more})
    (pages.ROOT / "benchmarks").mkdir()
    page = pages.ROOT / "benchmarks" / "README.md"
    page.write_text('<!-- speeds {"columns": ["A", "B", "C", "D", "E", "F"], "peers": '
                    '{"torch": "PyTorch", "mtcnn": "M"}} -->\n<!-- /speeds -->\n')
    assert tables.main([]) == 0
    rows = page.read_text().splitlines()
    assert rows[3] == ("| [5](../chapter05_a/README.md) | batch 8 | 1.50× | PyTorch | 2026-01-02 | "
                       "CPU, 4 cores |")
    assert rows[4].endswith("batch 8 | 1.50× | M | 2026-01-02 | 2 cores |")


def test_scores_of_a_benchmark_are_shown_by_text_and_program(readmes):
    (pages.ROOT / "results" / "benchmarks").mkdir()
    files.write_json(pages.ROOT / "results" / "benchmarks" / f"{CHAPTER}.json", {
        "quality": {"news": {"peer": {"spearman": [0.3, 0.5], "analogy_accuracy": [0.02, 0.04]},
                             "ours": {"spearman": [0.4, 0.4], "analogy_accuracy": [0.1, 0.1]}}},
    })
    mark = ('<!-- quality {"metrics": {"spearman": "Rank", "analogy_accuracy": "Right"}, '
            '"programs": {"ours": "Here", "peer": "There"}} -->\n')
    for name in ("README.md", "README.zh-CN.md"):
        (readmes / name).write_text(mark + "<!-- /quality -->\n")
    assert tables.main([]) == 0
    table = (readmes / "README.md").read_text().removeprefix(mark).splitlines()
    assert table[2] == "| news | Here | 0.400 ± 0.000 | 10.00 ± 0.00 % |"
    assert table[3] == "| news | There | 0.400 ± 0.141 | 3.00 ± 1.41 % |"
    assert (readmes / "README.zh-CN.md").read_text().startswith(f"{mark}| 数据 | 程序 | Rank |")


@pytest.mark.parametrize(("metric", "values", "shown"), [
    ("bleu", [27.1234], "27.123"), ("bleu", [1.0, 2.0, 3.0], "2.000 ± 1.000"),
    ("accuracy", [0.5], "50.00 %"), ("couplet_lines", [519], "519"),
    ("episodes", [1000 + 10 * k for k in range(10, -1, -1)], "1,050 (1,025 – 1,075)"),
])
def test_mean_and_spread(metric, values, shown):
    assert tables.show(metric, values) == shown


def test_steps_are_those_of_all_seeds(monkeypatch):
    run = {"command": "python train.py", "dataset": "d", "book": {}, "metrics": {},
           "minutes_two_cores": 1}
    for steps, shown in (([100, 200, 300], "200 ± 100"), ([2000, 2000], "2,000")):
        monkeypatch.setattr(tables, "load", lambda *_, s=steps: [run | {"steps": n} for n in s])
        table = tables.results_table("c", {"metrics": {}, "runs": ["r"]}, False)
        assert f"Data: d · Steps: {shown} · Seeds: {len(steps)}\n" in table


def test_a_table_whose_runs_have_nothing_in_common(monkeypatch):
    monkeypatch.setattr(tables, "load", lambda _, run: [{
        "command": f"python train.py --name {run}", "dataset": run, "steps": int(run),
        "book": {"loss": 1.0 / int(run)}, "metrics": {}, "minutes_two_cores": 1}] * int(run))
    table = tables.results_table("c", {"metrics": {}, "runs": ["1", "2"]}, False)
    assert "| Run | Data | Steps | Seeds | Book | Minutes, two cores |" in table
    assert "| 2 | 2 | 2 | 2 | 0.500 | 1.0 |\n\n```bash\n# 1\n" in table


def test_a_run_that_was_not_compared_has_a_dash(monkeypatch):
    found = {"1": {"test": {"bleu": 3}}, "2": {"test": {"bleu": 4}, "difference": {"bleu": 1}}}
    monkeypatch.setattr(tables, "load", lambda _, run: [{
        "command": "python train.py", "dataset": "d", "steps": 1, "book": {},
        "metrics": found[run], "minutes_two_cores": 1}])
    metrics = {"test.bleu": "BLEU", "difference.bleu": "Gain"}
    table = tables.results_table("c", {"metrics": metrics, "runs": ["1", "2"]}, False)
    assert "| 1 | 3 | – | 1.0 |\n| 2 | 4 | 1 | 1.0 |" in table
    with pytest.raises(KeyError, match="of 1"):
        tables.results_table("c", {"metrics": metrics, "runs": ["1"]}, False)


def test_a_folder_without_a_run_has_its_row():
    spec = {"columns": ["", "Project", "Demo, minutes", "Ours", "Book"], "rows": [
        {"chapter": "appendix_x_test", "project": "Tests", "ours": "ten {scripts}", "book": "–"}]}
    *_, row = tables.chapters_table("", spec, False).splitlines()
    assert row == "| X | [Tests](appendix_x_test/README.md) | – | ten {scripts} | – |"


def test_links_to_definitions_get_their_line(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("\n\nSIZE: int = 3\nclass A:\n    def f(self):\n")
    page, text = tmp_path / "docs" / "a.md", "[`{}`](../code/a.py#L{}) [other](../code/a.py#L9)\n"
    for name, line in (("SIZE", 3), ("A", 4), ("f", 5)):
        page.write_text(text.format(name, 1))
        assert code_links.main(["--check"]) == 1
        assert code_links.main([]) == 0 and page.read_text() == text.format(name, line)
        assert code_links.main(["--check"]) == 0
    page.write_text(text.format("g", 1))
    with pytest.raises(ValueError, match=r"code/a\.py defines g 0 times"):
        code_links.main([])
