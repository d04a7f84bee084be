"""data_prep/bioasq.py: BioASQ's questions to files for run_qa.py."""

import json
import re

import pytest

from common.errors import InputError
from data_prep.bioasq import find_answer, find_answers
from data_prep.tasks.bioasq_questions import exact_answers, read_questions, yes_or_no
from tests.helpers.programs import check_error

IDS = [f"{number:024x}" for number in range(2000)]
PUBMED = """<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>11</PMID><Article>
<ArticleTitle>Loss of p53.</ArticleTitle><Abstract><AbstractText>We saw TP53.</AbstractText>
<AbstractText>It fell.</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>
<PubmedArticle><MedlineCitation><PMID>12</PMID><Article><ArticleTitle>A letter.</ArticleTitle></Article>
</MedlineCitation></PubmedArticle></PubmedArticleSet>
"""


def question(number=0, question_type="factoid", answer=None, texts=("a",), pmids=None, **others):
    """A question as in BioASQ's files."""
    pmids = pmids or ["99"] * len(texts)
    snippets = [
        {"text": text, "document": f"http://www.ncbi.nlm.nih.gov/pubmed/{pmid}", "beginSection": "abstract"}
        for text, pmid in zip(texts, pmids, strict=True)
    ]
    entry = {"id": IDS[number], "type": question_type, "body": f"Which {number}?", "snippets": snippets}
    if answer is not None:
        entry["exact_answer"] = answer
    return {**entry, **others}


@pytest.fixture
def build(run_script, tmp_path):
    """Runs the program on questions (or the text of a file); returns the process."""

    def run(questions, question_type="factoid", split="train", *options):
        if not isinstance(questions, str | bytes):
            questions = json.dumps({"questions": questions})
        (tmp_path / "in.json").write_bytes(questions if isinstance(questions, bytes) else questions.encode())
        return run_script(
            "-m",
            "data_prep.bioasq",
            f"--input_file={tmp_path / 'in.json'}",
            f"--output_file={tmp_path / 'out.json'}",
            f"--question_type={question_type}",
            f"--split={split}",
            *options,
        )

    return run


@pytest.fixture
def paragraphs(tmp_path):
    def read():
        content = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
        assert sorted(content) == ["data", "version"]
        assert [sorted(entry) for entry in content["data"]] == [["paragraphs", "title"]]
        return content["data"][0]["paragraphs"]

    return read


def check_refused(result, tmp_path, *parts):
    """With an error, and without output."""
    check_error(result, *parts)
    assert not list(tmp_path.glob("out.json*"))


# Places of answers


@pytest.mark.parametrize(
    ("context", "answer", "start"),
    [
        ("p53R2 and p53, p53.", "p53", 10),
        ("p53R2", "p53", None),
        ("xp53", "p53", None),
        ("cysts, cyst", "cyst", 7),
        ("p53-binding", "p53", 0),
        ("(p53)", "p53", 1),
        ("Viroids are viroids", "viroids", 12),  # the same case first, wherever it stands
        ("Viroids are VIROIDS", "viroids", 0),
        ("CD4+CD8+ cells", "CD4+", 0),
        ("CD4+ cells", "CD4", 0),
        ("a_b", "a", 0),  # BERT splits here too
        ("1.5 or 5", "5", 7),
        ("1.5 or 1", "1", 7),
        ("in 5. Then", "5", 3),
        ("cafe\u0301 cafe", "cafe", 6),
        ("İİİ Ankara", "ankara", 4),
        ("STRAẞE straße", "Straße", 0),
        ("strasse", "straße", None),
        ("10 μg", "10 µg", 0),  # Greek mu in the text, micro sign in the answer
        ("a.b axb", "A.B", 0),
        ("", "a", None),
        ("𝔸 Ab", "ab", 2),
    ],
)
def test_find_answer(context, answer, start):
    assert find_answer(context, answer) == start


def test_first_listed_synonym_and_text_of_the_context():
    found = find_answers("The RANKL (Receptor activator) and rankl.", [["receptor Activator", "RANKL"], ["none"]])
    assert found == [{"text": "Receptor activator", "answer_start": 11}]


def test_items_at_the_same_place_are_one():
    assert find_answers("MT1 and MT2", [["MT1"], ["x", "mt1"], ["MT2"]]) == [
        {"text": "MT1", "answer_start": 0},
        {"text": "MT2", "answer_start": 8},
    ]


# Exact answers


@pytest.mark.parametrize(
    ("question_type", "value", "expected"),
    [
        ("factoid", [["a", "b"]], [["a", "b"]]),
        ("factoid", ["a", " b "], [["a", "b"]]),
        ("factoid", "a", [["a"]]),
        ("factoid", [[" "]], []),
        ("factoid", [], []),
        ("factoid", None, []),
        ("list", [["a", "b"], ["c"], [""]], [["a", "b"], ["c"]]),
        ("list", ["a", "c"], [["a"], ["c"]]),
        ("list", "a", [["a"]]),
        ("list", None, []),
    ],
)
def test_exact_answers(tmp_path, question_type, value, expected):
    assert exact_answers(read_one(tmp_path, question(0, question_type, value))) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("yes", "yes"),
        ("No", "no"),
        (" yes. ", "yes"),
        (["yes"], "yes"),
        ("maybe", None),
        ("", None),
        (None, None),
        (True, None),
        (["yes", "no"], None),
    ],
)
def test_yes_or_no(tmp_path, value, expected):
    assert yes_or_no(read_one(tmp_path, question(0, "yesno", value))) == expected


def read_one(tmp_path, entry):
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"questions": [entry]}), encoding="utf-8")
    (result,), _ = read_questions([str(path)])
    return result


# Training files


def test_factoid_training(build, paragraphs):
    result = build(
        [
            question(0, answer=[["p53", "TP53"]], texts=["No gene.", "TP53 or p53 α.", "A TP53.", "A TP53.", " "]),
            question(1, answer=[["BRCA1"]], texts=["BRCA2", "BRCA11"]),
            question(2, answer=[[" "]]),
            question(3),
            question(4, "list", [["p53"]], ["p53"]),
            question(5, answer=[["b"]], texts=[]),
            question(6, answer="b", texts=["A b c."]),
        ]
    )
    assert result.returncode == 0
    assert paragraphs() == [
        {"context": "TP53 or p53 α.", "qas": [training_entry(0, 0, "p53", 8)]},
        {"context": "A TP53.", "qas": [training_entry(0, 1, "TP53", 2)]},
        {"context": "A b c.", "qas": [training_entry(6, 0, "b", 2)]},
    ]
    assert result.stdout == (
        "factoid questions: 6, used: 2\n"
        "  dropped without any snippet: 1 (16.7%)\n"
        "  dropped without usable exact answer: 2 (33.3%)\n"
        "  dropped as unanswerable, the answer being in none of their contexts: 1 (16.7%)\n"
        "contexts: 8, used: 3\n"
        "examples: 3\n"
    )
    assert f"missing, blank or unusable exact answer, left out: 2 ({IDS[2]}, {IDS[3]})" in result.stderr
    assert f"without any snippet, left out: 1 ({IDS[5]})" in result.stderr


def training_entry(question_number, number, text, start):
    return {
        "id": f"{IDS[question_number]}_{number:03d}",
        "question": f"Which {question_number}?",
        "answers": [{"text": text, "answer_start": start}],
    }


def test_list_training_has_an_entry_for_each_answer(build, paragraphs):
    answer = [["MT1"], ["MT2", "melatonin receptor 2"], ["MT3"]]
    build([question(0, "list", answer, ["MT2 and MT1.", "Nothing.", "Melatonin receptor 2."])], "list")
    assert paragraphs() == [
        {"context": "MT2 and MT1.", "qas": [training_entry(0, 0, "MT1", 8), training_entry(0, 1, "MT2", 0)]},
        {"context": "Melatonin receptor 2.", "qas": [training_entry(0, 2, "Melatonin receptor 2", 0)]},
    ]


def test_yesno_training(build, paragraphs):
    result = build(
        [
            question(0, "yesno", "Yes", ["a", "b"]),
            question(1, "yesno", "no", ["c"]),
            question(2, "yesno", "maybe", ["d"]),
        ],
        "yesno",
    )
    entries = [entry for paragraph in paragraphs() for entry in paragraph["qas"]]
    assert [(entry["id"], entry["answers"], entry["is_impossible"]) for entry in entries] == [
        (f"{IDS[0]}_000", "yes", False),
        (f"{IDS[0]}_001", "yes", False),
        (f"{IDS[1]}_000", "no", True),
    ]
    assert f"unusable exact answer, left out: 1 ({IDS[2]})" in result.stderr


# Files for testing


@pytest.mark.parametrize("question_type", ["factoid", "list", "yesno"])
def test_test_file_keeps_all_questions_and_has_no_answers(build, paragraphs, question_type):
    questions = [
        question(0, question_type, "yes", ["a", "b", "a"]),
        question(1, question_type, texts=["c"]),
        *(question(number, question_type, texts=[]) for number in range(2, 8)),
    ]
    result = build(questions, question_type, "test")
    assert paragraphs() == [
        {"context": "a", "qas": [{"id": f"{IDS[0]}_000", "question": "Which 0?"}]},
        {"context": "b", "qas": [{"id": f"{IDS[0]}_001", "question": "Which 0?"}]},
        {"context": "c", "qas": [{"id": f"{IDS[1]}_000", "question": "Which 1?"}]},
        *({"context": "", "qas": [{"id": f"{IDS[i]}_000", "question": f"Which {i}?"}]} for i in range(2, 8)),
    ]
    # A warning names five.
    assert f"without any snippet, written with an empty context: 6 ({', '.join(IDS[2:7])}, ...)" in result.stderr
    assert "unanswerable" not in result.stdout


def test_lone_surrogates_stay(build, paragraphs):
    assert build([question(texts=["a \ud800 b"])], "factoid", "test").returncode == 0
    assert paragraphs()[0]["context"] == "a \ud800 b"


# Abstracts


def test_abstracts_in_place_of_snippets(build, paragraphs, tmp_path):
    (tmp_path / "pubmed.xml").write_text(PUBMED, encoding="utf-8")
    entry = question(answer=[["TP53"]], texts=["p53.", "It", "letter TP53", "TP53 x"], pmids=["11", "11/", "12", "13"])
    result = build([entry], "factoid", "train", "--context=abstract", f"--abstracts_file={tmp_path}/*.xml")
    # Article 12 has no abstract, 13 is not in the file.
    assert [(p["context"], p["qas"][0]["answers"][0]["answer_start"]) for p in paragraphs()] == [
        ("Loss of p53. We saw TP53. It fell.", 20),
        ("letter TP53", 7),
        ("TP53 x", 0),
    ]
    assert result.stdout.startswith("abstracts: 1 of 3 articles; snippets in place of the others\n")


@pytest.mark.parametrize("options", [["--context=abstract"], ["--abstracts_file=x.xml"]])
def test_abstracts_need_both_flags(build, tmp_path, options):
    check_refused(build([question(answer="a")], "factoid", "train", *options), tmp_path, "--abstracts_file=")


# Bad input


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ('{"questions": [\n{"id": 1,}]}', ["in.json, line 2: not JSON"]),
        (b'{"questions":\n"\xff"}', ["in.json, line 2: invalid UTF-8"]),
        ("", ["in.json, line 1: not JSON"]),
        ('{"data": []}', ['in.json: no list "questions"']),
        ("[]", ['no list "questions"']),
        ('{"questions": {}}', ['no list "questions"']),
        ([], ["no factoid question; found: no question"]),
        ([question(0, "list"), question(1, "summary")], ["no factoid question; found: list, summary"]),
        ([question(id=None)], ["in.json, question 1: no id"]),
        ([question(), question(1, body=" ")], [f"in.json, question 2 ({IDS[1]}): no body"]),
        ([question(type=3)], [f"question 1 ({IDS[0]}): no type"]),
        ([question(id="abc")], ["question 1: id 'abc' of 3 characters; expected 24"]),
        (["text"], ["question 1: 'text'; expected an object"]),
        ([question(snippets=[{"document": "x"}])], [f"({IDS[0]}): snippets without text"]),
        ([question(snippets={"text": "x"})], [f"({IDS[0]}): snippets without text"]),
        ([question(answer=[[5]])], [f"question {IDS[0]}: exact answer '5'; expected strings"]),
        ([question(answer="a"), question(answer="b")], [f"question 2: id {IDS[0]} is also that of another question"]),
        ([question(answer="b", texts=["a"])], ["no example to write"]),
    ],
)
def test_bad_input(build, tmp_path, content, parts):
    check_refused(build(content), tmp_path, *parts)


def test_ids_end_at_three_digits(build, paragraphs, tmp_path):
    texts = [f"a {number}" for number in range(1001)]
    check_refused(build([question(texts=texts)], "factoid", "test"), tmp_path, f"question {IDS[0]}: 1001 contexts")
    assert build([question(texts=texts[:1000])], "factoid", "test").returncode == 0
    assert paragraphs()[-1]["qas"][0]["id"] == f"{IDS[0]}_999"


def test_repeated_questions_of_several_files(run_process, tmp_path):
    for name, numbers in (("a.json", [0, 1]), ("b.json", [1, 2])):
        questions = [question(number, ideal_answer=name) for number in numbers]
        (tmp_path / name).write_text(json.dumps({"questions": questions}), encoding="utf-8")
    arguments = ["--question_type=factoid", "--split=test", f"--output_file={tmp_path}/out.json"]
    result = run_process("-m", "data_prep.bioasq", f"--input_file={tmp_path}/a.json,{tmp_path}/b*.json", *arguments)
    assert result.stdout.startswith("factoid questions: 3, used: 3\n")
    assert f"given again with the same content, used once: 1 ({IDS[1]})" in result.stderr
    (tmp_path / "b.json").write_text(json.dumps({"questions": [question(1, body="Other?")]}), encoding="utf-8")
    with pytest.raises(
        InputError, match=re.escape(f"b.json, question 1: id {IDS[1]} is also that of another question")
    ):
        read_questions([str(tmp_path / "a.json"), str(tmp_path / "b.json")])


# Real questions


@pytest.fixture(scope="module")
def golden(shared):
    return shared / "data/qa/BioASQ"


@pytest.mark.parametrize(("question_type", "questions"), [("factoid", 161), ("list", 88)])
def test_real_training_files_point_at_their_answers(run_script, golden, tmp_path, question_type, questions):
    output = tmp_path / "train.json"
    result = run_script(
        "-m",
        "data_prep.bioasq",
        f"--input_file={golden}/4B*_golden.json",
        f"--output_file={output}",
        f"--question_type={question_type}",
        "--split=train",
    )
    assert result.stdout.startswith(f"{question_type} questions: {questions}, used: ")
    entries = [
        (paragraph["context"], entry)
        for paragraph in json.loads(output.read_text(encoding="utf-8"))["data"][0]["paragraphs"]
        for entry in paragraph["qas"]
    ]
    assert all(re.fullmatch(r"[0-9a-f]{24}_\d{3}", entry["id"]) for _, entry in entries)
    assert len({entry["id"] for _, entry in entries}) == len(entries) > 200
    for context, entry in entries:
        (answer,) = entry["answers"]
        assert context[answer["answer_start"] :][: len(answer["text"])] == answer["text"] != ""
    if question_type == "factoid":
        # The paper leaves out about 30 %. Batch 5 has a question with a blank answer.
        share = float(re.search(r"unanswerable.*\((.*)%\)", result.stdout).group(1))
        assert 25 < share < 35
        assert "unusable exact answer, left out: 1 (571e4523bb137a4b0c00000c)" in result.stderr


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5])
def test_real_test_files_hold_the_questions_of_the_released_ones(run_script, golden, tmp_path, batch):
    output = tmp_path / "test.json"
    run_script(
        "-m",
        "data_prep.bioasq",
        f"--input_file={golden}/4B{batch}_golden.json",
        f"--output_file={output}",
        "--question_type=factoid",
        "--split=test",
    )
    ours, released = (question_ids(path) for path in (output, golden / f"BioASQ-test-factoid-4b-{batch}.json"))
    assert ours == released
    assert len(ours) == [39, 31, 26, 31, 34][batch - 1]


def question_ids(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    return {entry["id"][:24] for paragraph in content["data"][0]["paragraphs"] for entry in paragraph["qas"]}


def test_answers_of_the_released_abstracts(shared, golden):
    """A file made by others has 218 of 535 pairs; the 8 that are not found here are plurals, `cyst` in `cysts`."""
    questions, _ = read_questions([str(golden / f"4B{batch}_golden.json") for batch in (1, 2, 3, 4)])
    questions = {question.id: question for question in questions}
    derived = json.loads((shared / "data/qa/train-factoid-4b-derived.json").read_text(encoding="utf-8"))
    missing = []
    for paragraph in derived["data"][0]["paragraphs"]:
        (entry,) = paragraph["qas"]
        (theirs,) = entry["answers"]
        ours = find_answers(paragraph["context"], exact_answers(questions[entry["id"][:24]]))
        if not ours:
            end = theirs["answer_start"] + len(theirs["text"])
            missing.append(paragraph["context"][end : end + 2])
    assert len(missing) == 8
    assert all(re.fullmatch(r"s\W", text) for text in missing)
