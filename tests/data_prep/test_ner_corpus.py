"""data_prep/ner_corpus.py: words and labels of annotated corpora."""

import pytest

from data_prep import ner_corpus
from data_prep.formats.document import Document, Entity
from data_prep.tasks import ner
from tests.helpers.programs import run_here

PUBTATOR = """\
1|t|BRCA1-related breast and ovarian cancer.
1|a|Seen in E. coli. (Not p53mutants.)
1\t0\t5\tBRCA1\tGene\t672
1\t14\t39\tbreast and ovarian cancer\tDisease\tD1|D2
1\t25\t39\tovarian cancer\tDisease\tD2
1\t49\t56\tE. coli\tSpecies\t562
1\t63\t66\tp53\tGene\t7157

2|t|No entity here.
2|a|
"""
WITH_TYPES = """\
BRCA1	B-Gene
-	O
related	O
breast	B-Disease
and	I-Disease
ovarian	I-Disease
cancer	I-Disease
.	O

Seen	O
in	O
E	B-Species
.	I-Species
coli	I-Species
.	O

(	O
Not	O
p53mutants	B-Gene
.	O
)	O

No	O
entity	O
here	O
.	O

"""


@pytest.fixture
def convert(tmp_path):
    corpus, output = tmp_path / "corpus.pubtator", tmp_path / "train.tsv"
    corpus.write_text(PUBTATOR)

    def run(*options, path=corpus):
        return run_here(
            "-m", "data_prep.ner_corpus", f"--input_file={path}", f"--output_file={output}", *options
        ), output

    return run


def test_labels_with_types(convert):
    result, output = convert()
    assert output.read_text() == WITH_TYPES
    assert "2 documents, 4 sentences, 23 words" in result.stdout
    assert "entities labelled: 4 (Gene 2, Disease 1, Species 1), 1 of which begin or end inside a word" in result.stdout
    assert "left out: 1 without a word of their own" in result.stdout


def test_one_type_has_the_plain_labels_of_the_data_sets_of_biobert(convert):
    result, output = convert("--entity_types=Disease")
    assert output.read_text().split("\n")[3:8] == ["breast\tB", "and\tI", "ovarian\tI", "cancer\tI", ".\tO"]
    assert {label for sentence in ner.read_sentences(str(output)) for label in sentence.labels} == {"B", "I", "O"}
    assert "3 of other types" in result.stdout


def test_several_types_as_one(convert):
    _, output = convert("--entity_types=Disease,Species", "--plain_labels")
    labelled = [line for line in output.read_text().split("\n") if line.endswith(("\tB", "\tI"))]
    assert [line.split("\t")[0] for line in labelled] == "breast and ovarian cancer E . coli".split()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--entity_types=disease"], "no entity to label (5 of other types); expected --entity_types of those in the"),
        (["--input_format=brat"], "no corpus.pubtator.txt beside it; expected the text there"),
    ],
)
def test_nothing_is_written_without_an_entity(convert, options, message):
    result, output = convert(*options)
    assert result.returncode == 1
    assert message in result.stderr
    assert not output.exists()


def test_the_corpus_is_not_overwritten(convert, tmp_path):
    corpus = tmp_path / "train.tsv"
    corpus.write_text(PUBTATOR)
    result, output = convert("--input_format=pubtator", path=corpus)
    assert result.returncode == 1
    assert output.read_text() == PUBTATOR


@pytest.mark.parametrize(("name", "chemicals", "diseases"), [("Training", 5203, 4182), ("Development", 5347, 4244)])
def test_bc5cdr_s_formats_give_the_same_rows(shared, tmp_path, name, chemicals, diseases):
    """The numbers of mentions are those of the corpus: Li et al. 2016, doi:10.1093/database/baw068, table 2."""
    outputs = []
    for suffix in ("PubTator.txt.gz", "BioC.xml.gz"):
        corpus, output = shared / f"data/formats/CDR_{name}Set.{suffix}", tmp_path / suffix
        result = run_here("-m", "data_prep.ner_corpus", f"--input_file={corpus}", f"--output_file={output}")
        assert f"(Chemical {chemicals:,}, Disease {diseases:,})" in result.stdout
        outputs.append(output.read_text())
    assert outputs[0] == outputs[1]


def test_words_are_counted_once_where_entities_are_the_same_twice():
    counts = ner_corpus.Counts()
    entities = (Entity("T1", "A", 0, 4), Entity("T2", "B", 0, 4))
    document = Document("1", "lung", ((0, 4),), "x", entities=entities)
    (rows,) = ner_corpus.make_rows([document], lambda text: [(0, len(text))], None, False, counts)
    assert (rows, counts.labelled, counts.overlapping) == ([("lung", "B-A")], {"A": 1}, 1)
