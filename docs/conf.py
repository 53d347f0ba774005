"""Sphinx settings; built by `make docs` and, with warnings as errors, by `make test`."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
# Importing aiida creates a configuration folder: never in the home of whoever builds the documentation.
_configuration = tempfile.TemporaryDirectory()
os.environ["AIIDA_PATH"] = _configuration.name
(Path(_configuration.name) / ".aiida").mkdir()

from aiida.manage.configuration import get_config  # noqa: E402  after the configuration folder is set

import aiida_perovskite  # noqa: E402

# autodoc looks at every attribute, also at those that aiida-core keeps for old plugins; its storage logs each plugin.
get_config(create=True).set_option("warnings.showdeprecations", False)
logging.getLogger("alembic").setLevel(logging.WARNING)

project = "aiida-perovskite"
author = "the aiida-perovskite developers"
project_copyright = f"2026, {author}"
version = release = aiida_perovskite.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "from_code"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the signatures would be unreadable; the parameters say what they take
autodoc_member_order = "bysource"
autosummary_generate = True
napoleon_google_docstring = False
napoleon_use_ivar = True
default_role = "literal"  # docstrings write `names` as Markdown does

html_theme = "furo"
html_title = f"aiida-perovskite {release}"
