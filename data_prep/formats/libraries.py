"""What formats need that an extra of this repository installs."""

import importlib.util

from common.errors import InputError

# By format: the libraries, and the extra in setup.cfg that has them.
LIBRARIES = {
    "bioc_xml": (("bioc", "ijson"), "formats"),
    "bioc_json": (("bioc", "ijson"), "formats"),
    "html": (("jinja2",), "reports"),
}


def check_installed(format_name, what):
    """Checks that the libraries of a format are installed.

    Args:
      format_name: of input or output.
      what: what an error begins with: the flag, or the file.

    Raises:
      InputError: they are not.
    """
    libraries, extra = LIBRARIES.get(format_name, ((), None))
    missing = [name for name in libraries if not importlib.util.find_spec(name)]
    if missing:
        raise InputError(f"{what}: needs {' and '.join(missing)}; expected pip install -e '.[{extra}]'")
