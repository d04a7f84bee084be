"""setup.cfg and build_backend/: an editable install in a clone, and no other; programs that start without extras."""

import configparser
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from common.errors import InputError
from data_prep.formats import table

# By the name that they are imported by; what the extras for users install.
OPTIONAL = "bioc dask flask ijson jinja2 matplotlib waitress".split()

REFUSAL = (
    "error: biobert-tf2 runs from a clone of its repository; expected `git clone`, and there `make`, "
    "or `pip install -e .` in an environment of your own"
)


@pytest.fixture
def clone(repository, tmp_path):
    """A copy of all that an installation reads; building may write into it."""
    path = tmp_path / "clone"
    path.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "LICENSE"):
        shutil.copy(repository / name, path)
    for name in ("build_backend", *settings(repository)["options"]["packages"].split()):
        shutil.copytree(repository / name, path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return path


def settings(repository):
    parser = configparser.ConfigParser()
    parser.read(repository / "setup.cfg")
    return parser


def python(*arguments, **options):
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, **options)


def build(clone, code):
    """Runs code with the build backend, as pip does."""
    return python("-c", f"import sys; sys.path.insert(0, 'build_backend'); import editable_only\n{code}", cwd=clone)


def test_pip_refuses_to_install_a_copy(clone, tmp_path):
    offline = ("--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check")
    result = python("-m", "pip", "install", *offline, f"--target={tmp_path}/installed", ".", cwd=clone)
    assert result.returncode != 0
    says = [line.strip() for line in (result.stdout + result.stderr).splitlines()]
    assert REFUSAL in says
    assert not any("Traceback" in line for line in says)
    assert not (tmp_path / "installed").exists()


def test_no_wheel_and_no_source_distribution(clone):
    # The first of each is what pip and others call before they download what is required.
    hooks = "get_requires_for_build_wheel prepare_metadata_for_build_wheel build_wheel".split()
    hooks += "get_requires_for_build_sdist build_sdist".split()
    code = f"""
for hook in {hooks}:
    try:
        getattr(editable_only, hook)("made")
    except SystemExit as refusal:
        print(refusal)
"""
    assert build(clone, code).stdout.splitlines() == [REFUSAL] * len(hooks)


def test_an_editable_install(clone, tmp_path):
    code = f"editable_only.get_requires_for_build_editable(); editable_only.build_editable({str(tmp_path)!r})"
    result = build(clone, code)
    assert result.returncode == 0, result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)

    metadata = next(site.glob("*.dist-info/METADATA")).read_text()
    (pythons,) = re.findall("^Requires-Python: (.*)$", metadata, re.MULTILINE)
    assert set(pythons.split(",")) == {">=3.11", "<3.14"}
    extras = set(re.findall("^Provides-Extra: (.*)$", metadata, re.MULTILINE))
    assert extras == {"serving", "cluster", "reports", "formats", "cuda", "test"}

    # -S: without the environment's own packages, among which may be an editable install of this repository.
    code = """
import importlib.util, site, sys
site.addsitedir(sys.argv[1])
for name in ("data_prep", "data_prep.formats", "predict", "convert", "tests"):
    print(getattr(importlib.util.find_spec(name), "origin", None))
"""
    found = python("-S", "-c", code, site, cwd=tmp_path)
    assert found.stdout.splitlines() == [
        str(clone / "data_prep" / "__init__.py"),
        str(clone / "data_prep" / "formats" / "__init__.py"),
        *["None"] * 3,  # scripts are not for every program of an environment
    ]


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 14, 0)])
def test_other_pythons_are_refused(clone, version):
    result = build(clone, f"sys.version_info = {version}; editable_only.get_requires_for_build_editable()")
    expected = f"error: Python 3.{version[1]}; expected 3.11 to 3.13, which TensorFlow 2.21 and nupunkt need\n"
    assert (result.returncode, result.stderr) == (1, expected)


def test_programs_start_without_extras_or_say_which_they_need(repository):
    scripts = sorted(path.stem for path in repository.glob("*.py") if path.stem != "demo_server")
    code = f"""
import importlib, sys
sys.modules.update(dict.fromkeys({OPTIONAL}))  # None: there is no such module
for name in [*{scripts}, "data_prep.build_corpus", "demo_server", "reproduction.report", "reproduction.figures"]:
    try:
        importlib.import_module(name)
    except SystemExit as error:
        print(error)
"""
    result = python("-c", code, cwd=repository)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "error: flask is not installed; expected pip install -e '.[serving]'",
        "error: reports need Jinja2; expected pip install -e '.[reports]'",
        "error: figures need matplotlib; expected pip install -e '.[reports]'",
    ]


def test_formats_that_need_an_extra_say_which(tmp_path, monkeypatch):
    (tmp_path / "a.xml").write_text("<collection><document></document></collection>")
    for name in OPTIONAL:
        monkeypatch.setitem(sys.modules, name, None)
    for flag, extra in {
        "--input_format=bioc_xml: needs bioc and ijson": "formats",
        "--output_format=bioc_json: needs bioc and ijson": "formats",
        "--output_format=html: needs jinja2": "reports",
    }.items():
        with pytest.raises(InputError) as error:
            table.check_installed(flag.partition("=")[2].partition(":")[0], flag.partition(":")[0])
        assert str(error.value) == f"{flag}; expected pip install -e '.[{extra}]'"
    with pytest.raises(InputError, match=r"a\.xml: bioc_xml: needs bioc and ijson; expected pip install -e"):
        list(table.read_documents(str(tmp_path / "a.xml"), "auto", None))
