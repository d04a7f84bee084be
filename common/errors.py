"""Errors that are the user's to mend, and how a program reports them."""

import errno
import logging
import math
import os
import signal
import sys

from absl import app, flags

from common.progress import log_above_bars

RESUMABLE = 75  # exit status, EX_TEMPFAIL of sysexits.h: stopped as told, and the same command goes on
LONGEST_MESSAGE = 2000  # characters


class InputError(Exception):
    """Bad input. The message is one line: what is wrong, in which file and line, what was expected.

    It is made one where a value from a file would break it, and of a long one the beginning and the end are kept.

    Args:
      message: str.
      details: further lines, as they are.
    """

    def __init__(self, message, details=""):
        message = " ".join(message.splitlines())
        if len(message) > LONGEST_MESSAGE:
            message = f"{message[: LONGEST_MESSAGE // 2]} ... {message[-LONGEST_MESSAGE // 4 :]}"
        super().__init__(message + details)


class StoppedError(Exception):
    """The program was asked to stop and did so in order. The message says where it stands.

    The status is RESUMABLE where the same command goes on, 128 and the signal's number where it begins anew.
    """

    def __init__(self, message, status=RESUMABLE):
        super().__init__(message)
        self.status = status


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
    """Runs `main(argv)` under absl; bad input becomes one line on standard error and exit status 1.

    A stop ends with the status of its StoppedError, Ctrl-C with 130. Anything else that goes wrong is a defect of ours
    and keeps its traceback.
    """
    interrupted = []

    def interrupt(*_):
        interrupted.append(True)
        raise KeyboardInterrupt

    def guarded(argv):
        signal.signal(signal.SIGINT, interrupt)
        try:
            _check_numbers()
            return main(argv)
        except InputError as error:
            sys.exit(f"error: {error}")
        except StoppedError as stopped:
            logging.info("%s", stopped)
            sys.exit(stopped.status)
        except OSError as error:
            sys.exit(f"error: {describe_os_error(error)}")
        except BaseException:
            if interrupted:  # Keras and AutoGraph make another exception of it in a function that they trace
                logging.info("stopped by SIGINT")
                sys.exit(128 + signal.SIGINT)
            raise

    keep_standard_error()
    log_above_bars()
    _help_with_all_flags()
    app.run(guarded, flags_parser=_parse_flags)


def keep_standard_error():
    """Gives a program whose standard error is closed one that goes nowhere: the next file would get its number."""
    try:
        os.fstat(2)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != 2:
            os.dup2(nowhere, 2)
            os.close(nowhere)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (to the program's end)


def _parse_flags(arguments):
    """What absl does; a flag file that is not UTF-8 is named."""
    try:
        return app.parse_flags_with_usage(arguments)
    except UnicodeDecodeError as error:
        files = " or ".join(argument for argument in arguments if argument.lstrip("-").startswith("flagfile"))
        sys.exit(f"error: {files}: invalid UTF-8 (byte {error.start + 1}), in it or in a file that it names")


def _check_numbers():
    """Raises InputError for a flag that is NaN or infinite, which no bound of absl's refuses."""
    for name in flags.FLAGS:
        value = flags.FLAGS[name].value
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--{name}={value}: expected a finite number")


def _help_with_all_flags():
    """Makes --help list, besides the flags of the program's own file, those that it shares with others."""
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        if module.partition(".")[0] not in ("absl", "tensorflow"):
            for flag in defined:
                flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
