"""A page in a real browser: nothing is complained of, and nothing is wider than the window."""

import json
import re
import shutil
import subprocess

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")

# Whatever is wider than the window, unless it scrolls by itself; with all parts unfolded.
MEASURE = """<script>
document.querySelectorAll("details").forEach(one => one.open = true);
const wide = document.documentElement.clientWidth;
const scrolls = one => one && (getComputedStyle(one).overflowX != "visible" || scrolls(one.parentElement));
const found = [...document.body.querySelectorAll("*")].filter(one =>
  one.getBoundingClientRect().right > wide + 1 && !scrolls(one.parentElement) && !one.closest("svg"));
const empty = [...document.querySelectorAll("svg.chart")].filter(one => one.getBoundingClientRect().height < 50);
document.title = JSON.stringify({wide, scroll: document.documentElement.scrollWidth,
  found: found.map(one => one.outerHTML.slice(0, 200)), empty: empty.length});
</script></body>"""  # noqa: E501


def opened(page, folder, width):
    """Return the document after it was shown, and what the browser complained of."""
    words = [
        BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
        f"--user-data-dir={folder}", f"--window-size={width},900", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_a_browser_complains_of_nothing(plane, tmp_path):
    shown, complaints = opened(plane / "report.html", tmp_path / "home", 1200)
    assert complaints == []
    assert 'class="chart"' in shown


@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_is_wider_than_the_window(plane, tmp_path, width):
    text = (plane / "report.html").read_text()
    free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    (tmp_path / "page.html").write_text(free.replace("</body>", MEASURE))
    shown, _ = opened(tmp_path / "page.html", tmp_path / "home", width)
    measured = json.loads(re.search(r"<title>(.*?)</title>", shown)[1].replace("&gt;", ">")
                          .replace("&lt;", "<").replace("&amp;", "&"))  # fmt: skip
    assert measured["wide"] <= width + 100
    assert measured["scroll"] <= measured["wide"]
    assert measured["found"] == []
    assert measured["empty"] == 0
