r"""Finds entities, relations and answers in new text, with models that run_ner.py, run_re.py and run_qa.py trained.

    python predict.py --ner_model=$OUTPUT_DIR --input=abstract.txt
    python predict.py --ner_model=Disease=$DISEASE_DIR --ner_model=Chemical=$CHEMICAL_DIR --re_model=$RE_DIR \
        --input=articles/ --output_dir=annotated --output_format=bioc_xml
    python predict.py --ner_model=Disease=$DISEASE_DIR --terminology=Disease=CTD_diseases.tsv.gz --input=abstracts.xml
    python predict.py --qa_model=$QA_DIR --question='What causes Rett syndrome?' --input=abstracts.xml

Text comes as plain text, PubMed or PMC XML, PubTator, BioC or words a line (`--input_format`), from files, directories
or standard input. Annotations go to standard output, `--output_file` or, a file for each input, `--output_dir`, where
a run that was stopped goes on. Offsets count characters of the untouched text.
"""

import collections
import contextlib
import itertools
import logging
import os
import signal

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
from absl import flags

from common import errors, files
from common import flags as shared_flags
from common.errors import InputError, StoppedError
from common.progress import progress, quiet_loading
from data_prep.formats import table
from data_prep.tasks import answers
from data_prep.text import sentences
from fine_tuning import model_directory
from inference import outputs, question_answering, relations
from inference.annotator import load_annotator, name_models
from inference.linking.loading import load_linker, split_value
from modeling import distribution

FLAGS = flags.FLAGS

MAX_WARNINGS = 5  # of text that cannot be read, printed as they come; all are counted


def define_flags():
    flags.DEFINE_string("input", "-", "Files, directories and patterns, separated by commas; -: standard input.")
    flags.DEFINE_enum("input_format", "auto", table.INPUT_FORMATS, "What the input is; auto: each file's own.")
    flags.DEFINE_string("output_file", "-", "File for all that is found (brat: directory); -: standard output.")
    flags.DEFINE_string("output_dir", None, "Directory for a file for each input; goes on where it was stopped.")
    flags.DEFINE_enum("output_format", "jsonl", table.OUTPUT_FORMATS, "How to write what is found.")
    shared_flags.define_annotator_flags()
    flags.DEFINE_string("qa_model", None, "Directory of a model of run_qa.py, in place of the others.")
    flags.DEFINE_multi_string("question", [], "What to ask about the input; may be given several times.")
    flags.DEFINE_integer("num_answers", 5, "Answers to a question, the best; of list questions all.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 16, "Sequences of 256 wordpieces per batch; more shorter ones.", lower_bound=1)
    flags.DEFINE_bool(
        "keep_identifiers", True, "Whether identifiers in the input stay, or --terminology gives new ones, or none."
    )
    flags.DEFINE_enum("sentence_splitter", "nupunkt", sentences.SPLITTERS, "Library that finds the sentences.")


def main(_):
    check_flags(FLAGS)
    with stopped_in_order():
        run(FLAGS)


def run(values):
    """Does what the flags say, which are checked."""
    tally = Tally()
    paths = table.list_inputs(values.input, values.output_dir, values.input_format, tally.problem)
    if values.output_file != outputs.STANDARD and not values.output_dir:
        outputs.check_file(values.output_file, values.output_format, paths)
    if values.qa_model:
        answer_questions(paths, values, tally)
    elif values.output_dir:
        with files.locked(values.output_dir):
            annotate(paths, values, tally)
    else:
        annotate(paths, values, tally)


def annotate(paths, values, tally):
    """Writes the entities and relations of all inputs; `tally` has those that are left out already."""
    names, directory = name_models(values.ner_model), None
    if values.output_dir:
        root = os.path.abspath(values.input) if os.path.isdir(values.input) else None
        directory = outputs.Directory(values.output_dir, values.output_format, list(names), root)
        paths = directory.usable(paths, tally.problem)
        directory.begin({**settings_of(values), "input directory": root or "none"})
        done = directory.done(paths)
        paths = [path for path in paths if path not in done]
        if done:
            logging.info("%s: %d inputs done before, %d left", values.output_dir, len(done), len(paths))
        if not paths:
            return
    distribution.log_devices()
    linker = load_linker(
        values.terminology,
        values.link_by_vectors,
        values.min_linking_score,
        values.keep_identifiers,
        values.abbreviations,
    )
    with quiet_loading():
        annotator = load_annotator(
            names, values.re_model, values.sentence_splitter, values.batch_size, values.abbreviations, linker
        )
    tally.linker = linker
    owners, failed = collections.deque(), set()
    with progress("annotate", unit="sequence") as bar:
        annotated = annotator.annotate(read(paths, values.input_format, tally, owners, failed), bar.update)
        if directory:
            write_each(annotated, owners, failed, directory, tally)
        else:
            with outputs.one_file(values.output_file, values.output_format, list(names), tally.lost) as writer:
                for document in annotated:
                    writer.write(document)
                    tally.add(document)
                tally.check()  # before an earlier file is replaced
    table.log_lost(tally.lost, values.output_format)
    if annotator.classifier:
        tally.warn_of_types(annotator.classifier.directory.settings)
    tally.report()


def answer_questions(paths, values, tally):
    """Writes the answers to all questions, a line of JSON each."""
    with quiet_loading():
        directory = model_directory.read(values.qa_model, "qa")
        options = answers.Options(n_best_size=max(values.num_answers, answers.Options.n_best_size))
        reader = question_answering.load_reader(directory, options)
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(progress("answer", unit="sequence"))
        to_standard = values.output_file == outputs.STANDARD
        file = outputs.standard_output() if to_standard else stack.enter_context(files.atomic_write(values.output_file))
        for number, question in enumerate(values.question):
            again = Tally(0)  # the input is read anew for each question; it is the same
            of_this = again if number else tally
            documents = of_this.watch(read(paths, values.input_format, of_this))
            found = question_answering.answer(question, documents, reader, values.batch_size, bar.update)
            found = question_answering.best_of(found, reader, values.num_answers)
            tally.check()
            file.write(question_answering.json_line(question, found) + "\n")
    tally.report()


def check_flags(values):
    """Raises `InputError` if the flags do not go together."""
    if not any((values.ner_model, values.re_model, values.qa_model, values.terminology)):
        raise InputError("nothing to do: expected --ner_model, --re_model, --terminology or --qa_model")
    if bool(values.qa_model) != bool(values.question):
        raise InputError("--qa_model and --question: expected both or neither")
    if values.qa_model:
        for name in ("ner_model", "re_model", "terminology", "output_dir"):
            if getattr(values, name):
                raise InputError(f"--{name}: not with --qa_model; expected a command of its own")
        if values.output_format != "jsonl":
            raise InputError(f"--output_format={values.output_format}: answers are lines of JSON; expected jsonl")
        if values.input == "-" and len(values.question) > 1:
            raise InputError("--input=-: standard input can be read once; expected files, or one --question")
    if values.output_dir and values.output_file != outputs.STANDARD:
        raise InputError("--output_file and --output_dir: expected one of them")
    to_standard = not values.output_dir and values.output_file == outputs.STANDARD
    if values.output_format in table.DIRECTORIES and to_standard:
        raise InputError(
            f"--output_format={values.output_format}: files for each document; expected --output_file=DIRECTORY or "
            "--output_dir"
        )
    for flag in ("input_format", "output_format"):
        table.check_installed(getattr(values, flag), f"--{flag}={getattr(values, flag)}")
    if values.link_by_vectors and not values.terminology:
        raise InputError("--link_by_vectors: compares the names of --terminology; expected one")
    if values.output_format == "conll" and values.re_model:
        raise InputError("--output_format=conll: has no place for relations; expected another with --re_model")


def settings_of(values):
    """What annotations depend on, by flag."""
    names = ["ner_model", "re_model", "input_format", "output_format", "sentence_splitter", "abbreviations"]
    names += ["terminology", "link_by_vectors", "min_linking_score", "keep_identifiers"] if values.terminology else []
    settings = {f"--{name}": str(getattr(values, name) or "none") for name in names}
    models = [*name_models(values.ner_model).values(), *filter(None, [values.re_model, values.link_by_vectors])]
    settings |= {f"the model in {path}": model_directory.digest(path) for path in models}
    terminologies = [split_value(value)[1] for value in values.terminology]
    return settings | {f"the terminology {path}": files.sha256(path) for path in terminologies if os.path.isfile(path)}


class Tally:
    """What was read and found, for the last lines of the log."""

    def __init__(self, max_warnings=MAX_WARNINGS):
        self.max_warnings = max_warnings
        self.documents = 0
        self.entities, self.relations = collections.Counter(), collections.Counter()  # found
        self.types = collections.Counter()  # of all entities
        self.types_together = set()  # those of the entities of a document, each once or twice
        self.linker = None  # what gives entities identifiers
        self.linked, self.to_link = collections.Counter(), collections.Counter()  # by type, of those it is for
        self.given = 0  # entities that it is not for, since they had an identifier in the input
        self.lost = collections.Counter()  # what the output has no place for
        self.problems = []

    def problem(self, message):
        """Counts text that cannot be read, by a message or an error; the first few are printed."""
        self.problems.append(str(message))
        if len(self.problems) <= self.max_warnings:
            logging.warning("left out: %s", message)

    def watch(self, documents):
        """Counts documents of a question as they go by."""
        for document in documents:
            self.documents += 1
            yield document

    def add(self, document):
        self.documents += 1
        types = collections.Counter(entity.type for entity in document.entities)
        self.types.update(types)
        self.types_together.add(tuple(sorted(name for name in types for _ in range(min(types[name], 2)))))
        self.entities.update(entity.type for entity in document.entities if entity.model)
        self.relations.update(relation.type for relation in document.relations if relation.confidence is not None)
        for entity in document.entities if self.linker else ():
            if self.linker.is_for(entity):
                self.to_link[entity.type] += 1
                self.linked[entity.type] += entity.identifier_score is not None
            else:
                self.given += self.linker.serves(entity)

    def check(self):
        """Raises `InputError` if there was nothing but what cannot be read."""
        if self.problems and not self.documents:
            raise InputError(self.problems[0])

    def warn_of_types(self, settings):
        """Says so if there was no pair of entities of types that a model of relations, with these settings, knows."""
        if self.documents and not any(relations.can_relate(types, settings) for types in self.types_together):
            pairs = ", ".join(" and ".join(marker[1:-1] for marker in pair) for pair in settings["entity_pairs"])
            found = ", ".join(f"{name} {count}" for name, count in self.types.most_common()) or "none"
            logging.warning(
                "no document had a pair of entities of types that the model of relations knows (%s); found: %s",
                pairs,
                found,
            )

    def report(self):
        """Logs what was found and what is left out; raises `InputError` as `check`."""
        self.check()
        for name, found in [("entities", self.entities), ("relations", self.relations)]:
            if found:
                kinds = ", ".join(f"{kind} {count}" for kind, count in found.most_common())
                logging.info("%d %s: %s", found.total(), name, kinds)
        if self.linker:
            self.report_links()
        logging.info("%d documents, %d left out", self.documents, len(self.problems))

    def report_links(self):
        """Logs how many entities got an identifier, a warning if none did."""
        found, total = self.linked.total(), self.to_link.total()
        of_types = ", ".join(f"{kind} {self.linked[kind]} of {count}" for kind, count in self.to_link.most_common())
        types = ", ".join(f"{kind} {count}" for kind, count in self.types.most_common()) or "no entities"
        given = f"; {self.given} have one of the input, which stays" if self.given else ""
        if total:
            level = logging.INFO if found else logging.WARNING
            logging.log(level, "identifiers for %d of %d entities: %s%s", found, total, of_types, given)
        else:
            logging.warning("no entity that --terminology is for: found %s%s", types, given)


def read(paths, input_format, tally, owners=None, failed=None):
    """Yields the documents of all inputs.

    Args:
      paths: the inputs.
      input_format: of all, or auto.
      tally: `Tally`.
      owners: a deque to which the input of each document is added, or None.
      failed: a set to which inputs are added that could not be read to their ends, or None.
    """
    for path in paths:
        try:
            for document in table.read_documents(path, input_format, tally.problem):
                if owners is not None:
                    owners.append(path)
                yield document
        except InputError as error:
            if failed is not None:
                failed.add(path)
            tally.problem(str(error))


def write_each(annotated, owners, failed, directory, tally):
    """Writes the documents of each input to a file of their own.

    Args:
      annotated: iterable of `Document`, each of which takes its input from the deque `owners`.
      owners, failed: as for `read`.
      directory: `outputs.Directory`.
      tally: `Tally`.
    """
    for path, documents in itertools.groupby(annotated, key=lambda _: owners.popleft()):
        with directory.open(path, tally.lost) as writer:
            for document in documents:
                writer.write(document)
                tally.add(document)
        if path not in failed:
            directory.finish(path)


@contextlib.contextmanager
def stopped_in_order():
    """Ends the block with `StoppedError` if the program is told to end, so that no half file stays."""
    stopped = []

    def stop(number, _):
        stopped.append(f"stopped by {signal.Signals(number).name}; of an --output_dir the same command goes on")
        stopped.append(128 + number)
        raise StoppedError(*stopped[:2])

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except Exception as error:
        if stopped:  # Keras and AutoGraph make another exception, of many lines, of one in a function that they trace
            raise StoppedError(*stopped[:2]) from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    define_flags()
    errors.run(main)
