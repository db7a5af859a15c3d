"""docs/theory: every citation resolves, and what no other test covers holds in numbers."""

import importlib
import math
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [path.read_text() for path in sorted((ROOT / "docs" / "theory").glob("*.md"))]
TEXT = "".join(PAGES)
SECTIONS = set(re.findall(r"^#{1,2} (\d+(?:\.\d+)?)\b", TEXT, re.M))
EQUATIONS = set(re.findall(r"\\tag\{(\d+\.\d+)\}", TEXT))
ROWS = set(re.findall(r"^\| (\d+) \|", TEXT, re.M))
SOURCES = [
    path
    for folder in ("wopt", "plugins", "tests", "docs", "examples")
    for suffix in ("*.py", "*.md")
    for path in sorted((ROOT / folder).rglob(suffix))
    if path != Path(__file__) and not {"theory", "_ext", "_build"} & set(path.parts)
]
CITED = re.compile(
    r"""docs/theory\b(?!['`\]#)/])((?:[\s,]|and\b|to\b|rows?\b|\d+\.\d+|\d+|\(\d\.\d+\)|\([a-e]\)
        |Theorem\ [SPQ]'?|"[^"]+")*)""",
    re.X | re.I,
)


def unresolved(words):
    """Return what of a citation's words is no section, equation, row or name of the page."""
    missing, in_rows, found = [], False, 0
    section = ""
    for word in re.findall(r"\([^)]*\)|Theorem [SPQ]'?|\"[^\"]+\"|\d+(?:\.\d+)?|rows?", words):
        if word.startswith("row"):
            in_rows = True
            continue
        in_rows = in_rows and word.isdigit()
        if word.startswith("(") and word[1].isdigit():
            known = word[1:-1] in EQUATIONS
        elif word.startswith("("):
            known = f"\n{word} " in TEXT and section == "4.2"
        elif word[0].isdigit():
            known = word in (ROWS if in_rows else SECTIONS)
            section = word
        else:
            known = f"**{word.strip(chr(34))}".replace("'", "′") in TEXT or word == '"uniform"'
        found += 1
        if not known:
            missing.append(word)
    return missing if found else ["no section, equation or row"]


def test_every_citation_resolves():
    wrong, count = [], 0
    for path in SOURCES:
        for found in CITED.finditer(path.read_text()):
            count += 1
            for missing in unresolved(found[1]):
                wrong.append(f"{path.relative_to(ROOT)}: {found[0].strip()!r}: {missing}")
    assert not wrong, "\n".join(wrong)
    assert count > 50


def test_every_formula_becomes_mathml(monkeypatch):
    pytest.importorskip("latex2mathml")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    mathml = importlib.import_module("mathml")
    formulas = re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", TEXT, re.S)
    assert len(formulas) > 300
    for block, inline in formulas:
        made = mathml.mathml(mathml.TAG.sub("", block or inline), "block" if block else "inline")
        assert not re.search(r"\\|&<", made), (block or inline, made)


@pytest.mark.parametrize("words", [" 9.9", " (1.99)", " 2, row 99", ' 1.6, "Unknown"', ""])
def test_citations_that_do_not_resolve_are_found(words):
    assert unresolved(words)


def test_numbers_are_unique_and_in_order():
    found = [re.findall(r"\\tag\{(\d+)\.(\d+)\}", page) for page in PAGES]
    assert all(tags == sorted(tags, key=lambda tag: int(tag[1])) for tags in found)
    assert sum(map(len, found)) == len(EQUATIONS)


def test_one_step_inequality_and_its_equality():
    """(1.4) on the line: KL from N(m, v) to N(0, 1/lam), any new law N(m', v')."""
    rng = np.random.default_rng(0)
    m, m1 = rng.normal(size=(2, 2000))
    s, s1 = np.exp(rng.normal(size=(2, 2000)) / 2)
    h, lam = np.exp(rng.uniform(-2, 1, (2, 2000)))
    # W2 is Euclidean in (mean, deviation): the residual is (mu, sigma)'s, see "Flatness".
    g = np.stack([lam * m1, lam * s1 - 1 / s1])
    xi = g + np.stack([m1 - m, s1 - s]) / h
    w = np.stack([m1, s1 - lam**-0.5])
    kl = (lam * (m1**2 + s1**2) - 1 - np.log(lam * s1**2)) / 2
    left = (1 + h * lam) * (w**2).sum(0) + 2 * h * kl + (m1 - m) ** 2 + (s1 - s) ** 2
    right = m**2 + (s - lam**-0.5) ** 2 + 2 * h * (xi * w).sum(0)
    assert np.all(left <= right + 1e-9)
    # Where only the mean moves it is an equality.
    same = (1 + h * lam) * m1**2 + h * lam * m1**2 + (m1 - m) ** 2
    np.testing.assert_allclose(same, m**2 + 2 * h * (lam * m1 + (m1 - m) / h) * m1, atol=1e-9)


def test_mmd_is_as_convex_as_row_12_says():
    """The extreme curvatures of exp(-r^2/2) are -1 and 2 exp(-3/2)."""
    r = np.linspace(0, 8, 80001)
    along = (r**2 - 1) * np.exp(-(r**2) / 2)
    across = -np.exp(-(r**2) / 2)
    assert min(along.min(), across.min()) == pytest.approx(-1, abs=1e-12)
    assert max(along.max(), across.max()) == pytest.approx(2 * math.exp(-1.5), abs=1e-8)


@pytest.mark.parametrize(
    ("order", "factor", "limit"),
    [
        (1, lambda z: 1 / (1 + z), 0),
        (2, lambda z: (1 - z / 2) / (1 + z / 2), -1),
        (2, lambda z: (1 - (1 - 2 * C) * z) / (1 + C * z) ** 2, 0),
        (2, lambda z: 1 - z + z**2 / 2, None),
        (1, lambda z: 1 - z + z**2, None),
    ],
    ids=["jko", "crank_nicolson", "sdirk2", "explicit_midpoint", "extragradient"],
)
def test_amplification_of_one_step_schemes(order, factor, limit):
    """The error of one step is of order k + 1; stiff modes tend to the stated limit."""
    error = [abs(factor(z) - math.exp(-z)) for z in (0.02, 0.01)]
    assert math.log2(error[0] / error[1]) == pytest.approx(order + 1, abs=0.05)
    if limit is not None:
        assert factor(1e8) == pytest.approx(limit, abs=1e-6)


C = 1 - 1 / math.sqrt(2)


def test_amplification_of_bdf2():
    """Its larger root follows exp(-z) to order 2, and both vanish for stiff modes."""
    roots = [max(np.roots([3 + 2 * z, -4, 1]).real) for z in (0.02, 0.01)]
    error = [abs(r - math.exp(-z)) for r, z in zip(roots, (0.02, 0.01), strict=True)]
    assert math.log2(error[0] / error[1]) == pytest.approx(3, abs=0.1)
    assert max(abs(np.roots([3 + 2e8, -4, 1]))) < 1e-3


def test_fixed_point_of_entropic_jko():
    eps, h, s = 0.1, 0.5, 1.3
    a = 1 + h / s
    v = max(np.roots([a**2 - 1, -a * (2 * h - eps / 2), h * (h - eps / 2)]))
    assert v == pytest.approx(1.236, abs=5e-4)
    b = 2 * a * h + v - a * eps / 2
    step = (b + math.sqrt(b**2 - 4 * a**2 * (h**2 - eps * h / 2))) / (2 * a**2)
    assert step == pytest.approx(v, rel=1e-12)


def test_barenblatt_dilation_solves_the_porous_medium_equation():
    """5.3 in d dimensions: ds/dt = K s^(-d(m-1)-1), the limit of 2.2 as h -> 0."""
    m, c, d = 2.0, 0.7, 3
    k, e = 2 * c * m / (m - 1), d * (m - 1) + 2

    def dilation(t):
        return (1 + e * k * t) ** (1 / e)

    t, dt = 0.3, 1e-6
    slope = (dilation(t + dt) - dilation(t - dt)) / (2 * dt)
    assert slope == pytest.approx(k * dilation(t) ** (1 - e), rel=1e-8)
    # and K is right: the gradient of p^(m-1) m/(m-1) at s x is -K s^(1-e) x, by differences
    s, x = dilation(t), 0.4

    def pressure(y):
        return m / (m - 1) * s ** (-d * (m - 1)) * (1 - c * (y / s) ** 2)

    velocity = -(pressure(s * x + 1e-5) - pressure(s * x - 1e-5)) / 2e-5
    assert velocity == pytest.approx(slope * x, rel=1e-6)


def test_log_concavity_of_mixtures():
    """5.5 on the line: two components at distance 2R from each other."""
    for s, r in ((1.0, 0.8), (0.5, 1.0), (1.0, 2.0)):
        x = np.linspace(-6, 6, 4001)
        log_q = np.logaddexp(-((x - r) ** 2) / (2 * s**2), -((x + r) ** 2) / (2 * s**2))
        curvature = -np.diff(log_q, 2) / (x[1] - x[0]) ** 2
        bound = 1 / s**2 - r**2 / s**4
        assert curvature.min() == pytest.approx(bound, abs=1e-3)  # attained half way
