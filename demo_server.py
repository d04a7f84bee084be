r"""A page to try models that run_ner.py, run_re.py and run_qa.py trained, and a JSON API.

    python demo_server.py --ner_model=Disease=$DISEASE_DIR --ner_model=Chemical=$CHEMICAL_DIR --re_model=$RE_DIR \
        --qa_model=$QA_DIR

Then open http://127.0.0.1:8080, or:

    curl -H 'Content-Type: application/json' -d '{"text": "BRCA1 in breast cancer"}' http://127.0.0.1:8080/api/annotate

The API is described at /api/schema. The server is for this machine alone unless `--host` says otherwise; it knows no
passwords and no encryption, which a proxy before it has to add. Requests wait for the models, which work on short texts
together; those that wait or work for more than `--max_seconds` end with an error. A connection on which nothing comes,
or slowly, is closed after 30 seconds, and before that if its address has more than `--max_connections`. Behind a proxy
all users have one address, and the flag is for all of them together. Ctrl-C ends the server. Needs Flask and waitress:
pip install -e '.[serving]'.
"""

import contextlib
import ipaddress
import logging
import signal
import socket
import sys

import common.quiet_tensorflow  # noqa: F401  (before all else that imports TensorFlow)

# isort: split
from absl import flags

from common import errors
from common import flags as shared_flags
from common.errors import InputError
from common.progress import quiet_loading
from data_prep.text import sentences
from fine_tuning import model_directory
from inference import question_answering
from inference.annotator import load_annotator, name_models
from inference.linking.loading import load_linker

try:
    from inference.web import application, view
    from inference.web.models import BATCH_SIZE, MAX_WAITING, Limits
    from inference.web.server import Server
except ModuleNotFoundError as error:
    sys.exit(f"error: {error.name} is not installed; expected pip install -e '.[serving]'")

FLAGS = flags.FLAGS


def define_flags():
    shared_flags.define_annotator_flags()
    flags.DEFINE_string("qa_model", None, "Directory of a model of run_qa.py.")
    flags.DEFINE_string("host", "127.0.0.1", "Address to listen at; 0.0.0.0: all, so that others reach the server.")
    flags.DEFINE_integer("port", 8080, "Port to listen at; 0: any that is free.", lower_bound=0, upper_bound=65_535)
    flags.DEFINE_integer("max_characters", 50_000, "Longest text, and texts of a request together.", lower_bound=1)
    flags.DEFINE_integer("max_connections", 250, "Open connections from one address.", lower_bound=1)
    flags.DEFINE_float("max_seconds", 30.0, "Time for a request, waiting included.", lower_bound=0.1)
    flags.DEFINE_enum("sentence_splitter", "nupunkt", sentences.SPLITTERS, "Library that finds the sentences.")


def main(_):
    check_flags(FLAGS)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: waitress ends in order
    with contextlib.suppress(KeyboardInterrupt), bind(FLAGS.host, FLAGS.port) as listener:
        # The address comes first: the models take a while.
        serve(make_app(FLAGS, listener), listener, FLAGS.max_connections)
    logging.info("stopped")


def make_app(values, listener):
    """Loads the models and runs them once."""
    names = name_models(values.ner_model)
    linker = load_linker(
        values.terminology, values.link_by_vectors, values.min_linking_score, expand=values.abbreviations
    )
    with quiet_loading():
        annotator = (
            load_annotator(names, values.re_model, values.sentence_splitter, BATCH_SIZE, values.abbreviations, linker)
            if names
            else None
        )
        reader = load_reader(values.qa_model) if values.qa_model else None
    app = application.create_app(
        annotator, reader, Limits(values.max_characters, values.max_seconds), name_hosts(listener.getsockname())
    )
    app.extensions["models"].warm_up(view.EXAMPLE, view.QUESTION)
    return app


def load_reader(path):
    return question_answering.load_reader(model_directory.read(path, "qa"))


def check_flags(values):
    """Raises `InputError` if the flags do not go together."""
    if not values.ner_model and not values.qa_model:
        raise InputError("nothing to do: expected --ner_model or --qa_model")
    if values.re_model and not values.ner_model:
        raise InputError("--re_model: relations are between entities; expected --ner_model as well")
    if values.terminology and not values.ner_model:
        raise InputError("--terminology: gives entities identifiers; expected --ner_model as well")
    if values.link_by_vectors and not values.terminology:
        raise InputError("--link_by_vectors: compares the names of --terminology; expected one")
    if not values.host:
        raise InputError("--host: empty; expected an address such as 127.0.0.1")


def bind(host, port):
    """A socket at an address; no one can connect to it yet."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise InputError(f"--host={host}: no such address; expected one of this machine, such as 127.0.0.1") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise InputError(
            f"--host={host}, --port={port}: {error.strerror}; expected an address of this machine and a free port"
        ) from None
    return listener


def name_hosts(address):
    """What the header Host may be by the address of a socket; None, anything, if others than this machine reach it."""
    host, port = address[:2]
    if not ipaddress.ip_address(host).is_loopback:
        logging.warning("others reach this server: it knows no passwords and no encryption")
        return None
    names = {"localhost", "127.0.0.1", "[::1]", host}
    return {f"{name}:{port}" for name in names} | (names if port == 80 else set())


def serve(app, listener, max_connections):
    """Answers requests until the program is told to end."""
    server = Server(
        app,
        listener,
        threads=MAX_WAITING + 2,  # 2: for what needs no model
        # What is somewhat too long is refused by the application, with a page or JSON; much more is not even read.
        max_body_bytes=4 * app.config["MAX_CONTENT_LENGTH"],
        max_connections=max_connections,
    )
    host, port = listener.getsockname()[:2]
    logging.info("listening at http://%s:%d", f"[{host}]" if ":" in host else host, port)
    server.run()


if __name__ == "__main__":
    define_flags()
    errors.run(main)
