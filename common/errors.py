"""Errors that are the user's to mend, and how a program reports them."""

import errno
import logging
import sys

from absl import app, flags

from common.progress import log_above_bars


class InputError(Exception):
    """Bad input. The message is one line: what is wrong, in which file and line, what was expected."""


class StoppedError(Exception):
    """The program was asked to stop and did so in order. The message says where it stands."""


def raise_error(error):
    """What a reader does with a bad file unless told otherwise."""
    raise error


def name_some(ids, limit=5):
    """How a message names many things: `7 (a, b, c, d, e, ...)`; no limit if it is None."""
    named = ids[:limit]
    return f"{len(ids)} ({', '.join(named)}{', ...' if len(named) < len(ids) else ''})"


def describe_os_error(error):
    """Says in one line what an `OSError` means for the user."""
    if error.errno == errno.ENOSPC:
        return f"no space left on the disk of {error.filename or 'the output directory'}; free some and run again"
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def run(main):
    """Runs `main(argv)` under absl; bad input becomes one line on standard error and exit status 1, a stop status 0.

    Anything else that goes wrong is a defect of ours and keeps its traceback.
    """

    def guarded(argv):
        try:
            return main(argv)
        except InputError as error:
            sys.exit(f"error: {error}")
        except StoppedError as stopped:
            logging.info("%s", stopped)
        except OSError as error:
            sys.exit(f"error: {describe_os_error(error)}")

    log_above_bars()
    _help_with_all_flags()
    app.run(guarded)


def _help_with_all_flags():
    """Makes --help list, besides the flags of the program's own file, those that it shares with others."""
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        if module.partition(".")[0] not in ("absl", "tensorflow"):
            for flag in defined:
                flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
