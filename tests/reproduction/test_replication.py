"""scripts/replication.sh as a user runs it, in small."""

import json
import subprocess

import pytest

from reproduction import paper

SMALL = ["--steps=2", "--percents=5,100", "--seeds=1", "--epochs=1", "--vocab_size=2000"]


@pytest.mark.slow
def test_both_curves_end_in_reports(repository, tmp_path):
    abstracts = (repository / "samples/abstracts.txt").read_text().split("\n\n")
    (tmp_path / "text.txt").write_text("".join(abstract.replace("\n", " ").strip() + "\n" for abstract in abstracts))
    (tmp_path / "data/NER").mkdir(parents=True)
    (tmp_path / "data/NER/NCBI-disease").symlink_to(repository / "samples/ner")
    paths = [tmp_path / name for name in ("text.txt", "data", "output")]
    command = ["bash", repository / "scripts/replication.sh", *paths, *SMALL]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    title, runs = paper.titles()["ncbi_disease"], tmp_path / "output/runs/ncbi_disease"
    # The corpus has 23,108 words.
    for name, point, model in [("figure2b", "2", "2"), ("figure2a", "1155", "1155"), ("figure2a", "23108", "2")]:
        page = (tmp_path / f"output/{name}.md").read_text()
        zero, f1 = (json.loads((runs / run / "seed1/run.json").read_text())["scores"][-1] for run in ("0", model))
        assert f"| {title} | 0 | {zero:.2f} |" in page
        assert f"|  | {point} | {f1:.2f} |" in page


@pytest.mark.parametrize("arguments", [["a", "b"], ["a", "b", "c", "--step=2"]])
def test_a_wrong_command_line_is_one_line(repository, arguments):
    command = ["bash", repository / "scripts/replication.sh", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert "expected replication.sh TEXT DATA_DIR OUTPUT_DIR" in line
