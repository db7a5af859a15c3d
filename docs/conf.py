"""How Sphinx builds the documentation: `make docs`, offline."""

import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "wopt"
copyright = "the authors of wopt"
html_title = "wopt"
# Pages are made before scripts of the gallery register components of their own.
extensions = ["myst_parser", "mathml", "wopt_pages", "wopt_evidence", "sphinx_gallery.gen_gallery"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["wopt.css"]
html_math_renderer = "mathml"
html_show_sphinx = False
exclude_patterns = ["_build", "_ext", "gallery", "reference/plugins/README.md"]
suppress_warnings = ["config.cache"]  # the gallery's settings hold a function
nitpicky = False
sphinx_gallery_conf = {
    "examples_dirs": str(HERE / "gallery"),
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"__init__\.py|conftest\.py",
    "within_subsection_order": "wopt_gallery.order",
    "image_scrapers": ("wopt_gallery.scrape",),
    "reset_modules": ("wopt_gallery.fresh",),
    "parallel": 2 if find_spec("joblib") else False,
    "download_all_examples": False,
    "show_memory": False,
    "min_reported_time": 60,
    "remove_config_comments": True,
    "abort_on_example_error": True,
}
