"""The build backend of this repository: setuptools for `pip install -e .`, one line of refusal for all else.

The programs are run from a clone, where flag files, scripts and samples lie beside them. A wheel would have none of
these, and names as general as `common` and `predict` for everybody's environment. The refusals are here, not in a
`setup.py`, because pip calls these functions before it downloads what the package requires.
"""

import sys

from setuptools import build_meta

PYTHONS = ((3, 11), (3, 13))  # the oldest and the newest; as in setup.cfg and the Makefile


def get_requires_for_build_editable(config_settings=None):
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        found = "{}.{}".format(*sys.version_info)
        sys.exit(f"error: Python {found}; expected 3.11 to 3.13, which TensorFlow 2.21 and nupunkt need")
    return build_meta.get_requires_for_build_editable(config_settings)


prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
build_editable = build_meta.build_editable


def refuse(*_, **__):
    # Without a traceback, so that the message is all that pip shows.
    sys.exit(
        "error: biobert-tf2 runs from a clone of its repository; expected `git clone`, and there `make`, "
        "or `pip install -e .` in an environment of your own"
    )


get_requires_for_build_wheel = prepare_metadata_for_build_wheel = build_wheel = refuse
get_requires_for_build_sdist = build_sdist = refuse
