"""The published weights and data sets of BioBERT: where they are, what they hold, on which terms.

Sizes and digests are those that somebody published; where nobody did, there are none. Sources:

* addresses of BioBERT's weights: the README of dmis-lab/biobert and the releases of naver/biobert-pretrained;
* addresses of the data: `download.sh` there, and the authors' notes of December 2022 in its issue 185, when the
  addresses at Google Drive ended for a time. The README names a `sha1sum.html` beside them, of which no copy was found;
* digests of the files in Google's archives: `GooglePretrainedWeightDownloader.py` of NVIDIA/DeepLearningExamples;
* sizes and digests of SQuAD: `url_checksums/squad.txt` of tensorflow/datasets;
* digests of BioASQ's files: `SHA1.txt` in the archive `QA.zip` itself;
* the digest of v1.2: the page of that file at its revision 28c8d50;
* terms of the corpora: where a maker states none, as collected in bigscience-workshop/biomedical (BigBIO).
"""

import dataclasses
import os
from collections.abc import Callable, Mapping

from data_prep.published.checks import GOLDEN_FILES, check_golden, check_ner, check_relations

MODELS, DATA = "models", "datasets"  # where a release belongs; flags say where these are


@dataclasses.dataclass(frozen=True)
class File:
    """A file to download; `name` is also its path below a mirror. The digest is `sha256:...` or `sha1:...`."""

    name: str
    url: str
    size: int | None = None  # bytes
    digest: str | None = None
    browser: str | None = None  # another official address, of a page that only a browser gets past


@dataclasses.dataclass(frozen=True)
class Release:
    """Weights or data that anybody may download.

    `contents` are the paths below `directory` that must be there in the end, each with its digest or None.
    """

    name: str
    title: str
    licence: str
    base: str
    directory: str
    files: tuple[File, ...]
    contents: Mapping[str, str | None]
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)  # names in the archive to those of BERT
    next_step: str = ""  # `{target}` is the directory

    @property
    def max_bytes(self):
        """More than any of them has, unpacked (BERT-large: 1.3 GB; all NER data: 0.1 GB)."""
        return 4 << 30 if self.base == MODELS else 1 << 30


@dataclasses.dataclass(frozen=True)
class Registration:
    """Data that one gets as a registered person, or makes: `check(directory)` raises InputError unless it is usable."""

    name: str
    title: str
    licence: str
    base: str
    directory: str
    steps: tuple[str, ...]  # `{target}` is the directory
    contents: tuple[str, ...]
    check: Callable[[str], None]


def _google(size):
    """A BERT of Google's first release."""
    name = f"cased_{size}.zip"
    return (File(name, f"https://storage.googleapis.com/bert_models/2018_10_18/{name}"),)


def _naver(version, drive):
    """A release of naver/biobert-pretrained: `biobert_v1.0_pmc.tar.gz` under the tag `v1.0-pmc`."""
    name = f"biobert_{version}.tar.gz"
    url = f"https://github.com/naver/biobert-pretrained/releases/download/{version.replace('_', '-')}/{name}"
    return (File(name, url, browser=_drive(drive)),)


def _authors(name, drive):
    """A file on the server of Korea University's DMIS lab, which has no HTTPS."""
    return (File(name, f"http://nlp.dmis.korea.edu/projects/biobert-2020-checkpoints/{name}", browser=_drive(drive)),)


def _drive(identifier):
    return f"https://drive.google.com/file/d/{identifier}/view"


def _checkpoint(prefix, config=None, vocabulary=None, index=None, data=None):
    """The contents of a model's directory, with digests where they are known."""
    files = {"bert_config.json": config, "vocab.txt": vocabulary}
    files |= {f"{prefix}.index": index, f"{prefix}.data-00000-of-00001": data}
    return {name: digest and f"sha256:{digest}" for name, digest in files.items()}


def _as_downloaded(files):
    """The contents of a directory of files that are no archives."""
    return {os.path.basename(file.name): file.digest for file in files}


def _model(name, title, files, contents, licence=None, **more):
    return Release(name, title, licence or _BIOBERT_LICENCE, MODELS, name, files, contents, **more)


_HUB = "https://huggingface.co/dmis-lab/biobert-base-cased-v1.2/resolve/28c8d50abc6680732eca889059ff503505a74cd5"


def _hub(name, digest=None):
    """A file of v1.2, at the revision by the hub's staff that added it in the format which `convert.py` reads."""
    return File(f"biobert-base-cased-v1.2/{name}", f"{_HUB}/{name}", digest=digest)


def _squad(name, size, digest):
    return File(name, f"https://rajpurkar.github.io/SQuAD-explorer/dataset/{name}", size, f"sha256:{digest}")


_BERT_LICENCE = "Apache License 2.0 (Google)"
_BIOBERT_LICENCE = (
    "Apache License 2.0 with the authors' disclaimer, which a download accepts: "
    "https://github.com/dmis-lab/biobert/blob/master/LICENSE; made of PubMed under the terms of the National Library "
    "of Medicine"
)
_NER_SETS = ("BC2GM", "BC4CHEMD", "BC5CDR-chem", "BC5CDR-disease", "JNLPBA", "NCBI-disease", "linnaeus", "s800")
_CASED_VOCABULARY = "eeaa9875b23b04b4c54ef759d03db9d1ba1554838f8fb26c5d96fa551df93d02"
_BIOASQ_DIGESTS = {
    "train-factoid-4b": "63418e42362d989d10abd802baf8958f9b593b2a",
    "train-factoid-5b": "595d452ece80854f357d0baef978e75c776bd682",
    "train-factoid-6b": "44f3156841eb3534fab703e043124d85a4c87101",
    "test-factoid-4b-1": "a87a8867047ad0f60366f0916eb552a6f4124731",
    "test-factoid-4b-2": "637929aa17b7a3a8f87b40f4b408ce8cf64e318b",
    "test-factoid-4b-3": "e4f2dbdc4715bdf083ce18e60d897b7f93ccf56f",
    "test-factoid-4b-4": "92385ff10153f365451e206cfd8a38b09c72804a",
    "test-factoid-4b-5": "3827950398681eb1cc52b5b941f55ebcfd482efe",
    "test-factoid-5b-1": "9879aa6efc1b3387db8b8da2d1ebec58dd8a5a1c",
    "test-factoid-5b-2": "908bdb6459161d741f0f77b10542eaac2285bea7",
    "test-factoid-5b-3": "99b63c362c1d701bdf564667562d2e9a9732448e",
    "test-factoid-5b-4": "49ed150224ab254a05fed8781df13ca8f00b8c53",
    "test-factoid-5b-5": "2a05a09a051c278cf26deb2b1122683850ce0548",
    "test-factoid-6b-1": "f94ac71d56bd6df4bab5d69884f2594d1c2400ec",
    "test-factoid-6b-2": "4abc72c6fba9b5793e2c39557a30ffbdd3663858",
    "test-factoid-6b-3": "7fb187cfa3f8367f5a1737a12da3ba3d10c62b44",
    "test-factoid-6b-4": "0021eaa70f167abd3489284ddf5e402c9238821a",
    "test-factoid-6b-5": "2ae0667282d039ab29cf4c04cbf98f6ad71e2f06",
}
_V1_2_FILES = (
    _hub("config.json"),
    _hub("vocab.txt"),
    _hub("model.safetensors", "sha256:24aa33ba22c04657a8acd0a41218c01312f06130ae3bd649c0c4cfdb30b75c5e"),
)
_SQUAD_FILES = (
    _squad("train-v1.1.json", 30_288_272, "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955"),
    _squad("dev-v1.1.json", 4_854_279, "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9"),
)

_RELEASES = (
    _model(
        "bert_base_cased",
        "BERT-Base, cased",
        _google("L-12_H-768_A-12"),
        _checkpoint(
            "bert_model.ckpt",
            config="f11dfb757bea16339a33e1bf327b0aade6e57fd9c29dc6b84f7ddb20682f48bc",
            vocabulary=_CASED_VOCABULARY,
            index="517d6ef5c41fc2ca1f595276d6fccf5521810d57f5a74e32616151557790f7b1",
            data="734d5a1b68bf98d4e9cb6b6692725d00842a1937af73902e51776905d8f760ea",
        ),
        licence=_BERT_LICENCE,
    ),
    _model(
        "bert_large_cased",
        "BERT-Large, cased",
        _google("L-24_H-1024_A-16"),
        _checkpoint(
            "bert_model.ckpt",
            config="7adb2125c8225da495656c982fd1c5f64ba8f20ad020838571a3f8a954c2df57",
            vocabulary=_CASED_VOCABULARY,
            index="ef42a53f577fbe07381f4161b13c7cab4f4fc3b167cec6a9ae382c53d18049cf",
            data="6ff33640f40d472f7a16af0c17b1179ca9dcc0373155fb05335b6a4dd1657ef0",
        ),
        licence=_BERT_LICENCE,
    ),
    _model(
        "biobert_v1.0_pubmed",
        "BioBERT-Base v1.0 (+ PubMed 200K)",
        _naver("v1.0_pubmed", "17j6pSKZt5TtJ8oQCDNIwlSZ0q5w7NNBg"),
        _checkpoint("biobert_model.ckpt"),
    ),
    _model(
        "biobert_v1.0_pmc",
        "BioBERT-Base v1.0 (+ PMC 270K)",
        _naver("v1.0_pmc", "1LiAJklso-DCAJmBekRTVEvqUOfm0a9fX"),
        _checkpoint("biobert_model.ckpt"),
    ),
    _model(
        "biobert_v1.0_pubmed_pmc",
        "BioBERT-Base v1.0 (+ PubMed 200K + PMC 270K)",
        _naver("v1.0_pubmed_pmc", "1jGUu2dWB1RaeXmezeJmdiPKQp3ZCmNb7"),
        _checkpoint("biobert_model.ckpt"),
    ),
    _model(
        "biobert_v1.1",
        "BioBERT-Base v1.1 (+ PubMed 1M)",
        _naver("v1.1_pubmed", "1R84voFKHfWV9xjzeLzWBbmY1uOMYpnyD"),
        _checkpoint("model.ckpt-1000000"),
    ),
    _model(
        "biobert_v1.2",
        "BioBERT-Base v1.2 (+ PubMed 1M), with the language model's head, for PyTorch",
        _V1_2_FILES,
        _as_downloaded(_V1_2_FILES),
        licence=f"{_BIOBERT_LICENCE} (its own page states none)",
        next_step="python convert.py --input_dir={target} --output_dir={target} makes a checkpoint of it",
    ),
    _model(
        "biobert_large_v1.1",
        "BioBERT-Large v1.1 (+ PubMed 1M), with a vocabulary of its own",
        _authors("biobert_large_v1.1_pubmed.tar.gz", "1GJpGjQj6aZPV-EfbiQELpBkvlGtoKiyA"),
        _checkpoint("bio_bert_large_1000k.ckpt"),
        renamed={
            "bert_config_bio_58k_large.json": "bert_config.json",
            "vocab_cased_pubmed_pmc_30k.txt": "vocab.txt",
        },
    ),
    Release(
        "ner",
        "the eight NER data sets as released with BioBERT",
        f"{_BIOBERT_LICENCE}; the corpora belong to their makers: as prepared by Crichton et al. 2017 CC BY 4.0 "
        "(BC4CHEMD: terms of redistribution unclear), JNLPBA CC BY 3.0, NCBI-disease and BC5CDR public domain",
        DATA,
        "NER",
        _authors("NERdata.zip", "1OletxmPYNkz2ltOr9pyT0b0iBtUWxslh"),
        # JNLPBA comes without train_dev.tsv.
        dict.fromkeys(f"{name}/{part}.tsv" for name in _NER_SETS for part in ("train", "devel", "test")),
    ),
    Release(
        "re",
        "GAD and EU-ADR in ten folds each as released with BioBERT",
        f"{_BIOBERT_LICENCE}; GAD: CC BY 4.0; EU-ADR: none stated by its makers",
        DATA,
        "RE",
        _authors("REdata.zip", "1-jDKGcXREb2X9xTFnuiJ36PvsqoyHWcw"),
        dict.fromkeys(
            f"{name}/{fold}/{part}.tsv"
            for name in ("GAD", "euadr")
            for fold in range(1, 11)
            for part in ("train", "test")
        ),
    ),
    Release(
        "qa",
        "the factoid questions of BioASQ 4b, 5b and 6b as released with BioBERT",
        "BioASQ asks those who use it to register first: http://participants-area.bioasq.org; data of the National "
        f"Library of Medicine under its terms; {_BIOBERT_LICENCE}",
        DATA,
        "QA",
        _authors("QA.zip", "19ft5q44W4SuptJgTwR84xZjsHg1jvjSZ"),
        {f"BioASQ/BioASQ-{name}.json": f"sha1:{digest}" for name, digest in _BIOASQ_DIGESTS.items()},
    ),
    Release(
        "squad",
        "SQuAD 1.1",
        "CC BY-SA 4.0 (Stanford)",
        DATA,
        "QA/squad",
        _SQUAD_FILES,
        _as_downloaded(_SQUAD_FILES),
    ),
)
_REGISTRATIONS = (
    Registration(
        "i2b2_2010",
        "the 2010 i2b2/VA challenge: problems, tests and treatments in clinical notes",
        "data use agreement, for each person that works with it; it must not be passed on",
        DATA,
        "NER/i2b2-2010",
        (
            "register and sign at https://portal.dbmi.hms.harvard.edu/projects/n2c2-nlp/ (n2c2, before that i2b2)",
            "turn its notes and concepts into word, tab, label (B, I, O, or B-problem, ...) a line, with a blank line "
            "between sentences; BioBERT's authors did not publish how they did; "
            "https://github.com/EmilyAlsentzer/clinicalBERT has a converter",
            "put train.tsv, devel.tsv and test.tsv into {target}",
        ),
        ("train.tsv", "devel.tsv", "test.tsv"),
        check_ner,
    ),
    Registration(
        "chemprot",
        "ChemProt: relations of chemicals and proteins, BioCreative VI",
        "as its makers state it with the corpus; BigBIO has it as public domain",
        DATA,
        "RE/chemprot",
        (
            "get ChemProt_Corpus.zip at https://biocreative.bioinformatics.udel.edu/news/corpora/"
            "chemprot-corpus-biocreative-vi/ and unpack it and the archives in it",
            "python -m data_prep.relation_corpus --input_format=chemprot --mask_others makes train.tsv of the training "
            "set, dev.tsv of the development set and, with --output_format=test, test.tsv of the test set",
            "put train.tsv, dev.tsv and test.tsv into {target}",
        ),
        ("train.tsv", "test.tsv"),
        check_relations,
    ),
    Registration(
        "bioasq_golden",
        "the golden answers to the test batches of BioASQ 4b, 5b and 6b",
        "for registered participants; data of the National Library of Medicine under its terms",
        DATA,
        "QA/BioASQ",
        (
            "register at http://participants-area.bioasq.org and get the golden sets of task b, editions 4 to 6, from "
            "http://participants-area.bioasq.org/datasets/",
            f"put {GOLDEN_FILES[0]} to {GOLDEN_FILES[-1]} into {{target}}",
        ),
        GOLDEN_FILES,
        check_golden,
    ),
)
CATALOGUE = {entry.name: entry for entry in (*_RELEASES, *_REGISTRATIONS)}
