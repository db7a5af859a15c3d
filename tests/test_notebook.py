"""In a notebook: a live table, HTML of what is returned, interrupts that leave what goes on."""

import html.parser
import re

import pytest
import torch

import wopt
from wopt.html import table
from wopt.interfaces.listener import Listener
from wopt.runs import progress as notebook
from wopt.runs.progress import Notebook, listener_of, steps_table
from wopt_certify.bounds import least

SMALL = {"block": "affine", "solver": {"iterations": 30}, "guard": {"retries": 0}}


class Read(html.parser.HTMLParser):
    """The cells of all tables, and whether every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open, self.words = [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def rows(n=300):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0)) + 2


@pytest.fixture(scope="module")
def solution():
    return wopt.fit(rows(), **SMALL, stop={"steps": 2}, listener=False)


class StopAt(Listener):
    """Interrupts, as a notebook's stop button does, while step ``number`` is trained."""

    def __init__(self, number):
        self.number = number

    def progress(self, step, what, done, total, loss):
        if step == self.number and done > 5:
            raise KeyboardInterrupt


def test_a_live_table_grows_step_by_step(solution):
    shown = []
    again = wopt.fit(rows(), **SMALL, stop={"steps": 2}, listener=Notebook(shown.append))
    pages = [Read(text).words for text in shown]
    assert "kl by jko" in pages[0]  # who, what and how many rows come first
    for record in again.history:
        assert re.search(rf"\n +{record.step} .*{record.energy:.5g}", pages[-1])
    assert any("progress" in text and "loss" in text for text in shown)
    assert "progress" not in shown[-1]  # the bar is gone


def test_the_bar_is_not_drawn_too_often(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(notebook.time, "monotonic", lambda: clock[0])
    shown = []
    progress = Notebook(shown.append)
    for done in range(1, 101):
        clock[0] += 0.1
        progress.work("step 1: training", done, 100, 0.5)
    assert 25 <= len(shown) <= 35  # ten seconds, a drawing each 0.3 s
    assert 'value="100" max="100"' in shown[-1]
    assert "loss 0.5" in shown[-1]


def test_warnings_stay_and_are_escaped():
    shown = []
    progress = Notebook(shown.append)
    progress.warn("<b>disk</b>")
    progress.phase("measuring")
    assert "&lt;b&gt;disk" in shown[-1]
    assert "<progress></progress> measuring" in shown[-1]
    progress.end(None)
    assert "&lt;b&gt;disk" in shown[-1]
    assert "<progress" not in shown[-1]


def test_who_is_told(monkeypatch):
    assert not notebook.in_notebook()
    assert not isinstance(listener_of(None), Notebook)
    with pytest.warns(RuntimeWarning, match="the disk is full"):
        listener_of(None).warn("the disk is full")
    monkeypatch.setattr("wopt.runs.progress.in_notebook", lambda: True)
    monkeypatch.setattr(notebook, "_cell_output", lambda: lambda text: None)
    assert type(listener_of(None)) is Notebook
    assert type(listener_of(True)) is Notebook
    with pytest.warns(RuntimeWarning, match="the disk is full"):
        listener_of(False).warn("the disk is full")


def test_an_interrupt_leaves_a_solution_that_goes_on(solution):
    stopped = wopt.fit(rows(), **SMALL, stop={"steps": 2}, listener=StopAt(2))
    assert (stopped.status, stopped.state.step) == ("stopped", 1)
    assert "solution.resume()" in Read(stopped._repr_html_()).words
    assert len(stopped.flow.blocks) == 1
    done = stopped.resume(listener=False)
    assert done.status == "done"
    x = rows(5)
    assert torch.equal(done.flow.log_prob(x), solution.flow.log_prob(x))  # to the bit


def test_an_interrupted_posterior_is_the_best_map_there_is_also_in_html():
    def log_prob(x):  # a banana, of which a Gaussian is no good model
        return -x[:, 0].square() / 2 - (x[:, 1] - x[:, 0].square()).square() / 0.1

    names = ["<a>", "b"]
    posterior = wopt.sample(log_prob, dim=2, n=200, iterations=50, names=names, listener=StopAt(1))
    assert "interrupted" in posterior.how
    assert posterior.draws.shape == (200, 2)
    assert not posterior.reliable
    page = Read(posterior._repr_html_())
    assert [row[0] for row in page.rows] == ["", "<a>", "b"]
    assert "log Z" in page.words


def test_a_solution_in_html(solution):
    page = Read(solution._repr_html_())
    assert "Solution(done after 2 step(s)" in page.words
    assert [row[0] for row in page.rows] == ["step", "1", "2"]
    assert "resume" not in page.words
    assert Read(steps_table(solution.history)).rows == page.rows


def test_a_flow_in_html(solution):
    page = Read(solution.flow._repr_html_())
    assert ["x0", "continuous"] in page.rows
    parameters = sum(p.numel() for p in solution.flow.blocks[0].parameters())
    assert ["2", "Affine", f"{parameters:,}"] in page.rows


def test_a_flow_of_a_table_names_kinds_and_conditions():
    import pyarrow

    frame = pyarrow.table(
        {"<age>": [*range(60)] * 5, "sex": ["f", "m"] * 150, "t": [0.0, 1.5] * 150}
    )
    made = wopt.fit(frame, context=["t"], **SMALL, stop={"steps": 1}, listener=False)
    text = made.flow._repr_html_()
    assert "<age>" not in text
    cells = dict(Read(text).rows[1:4])
    assert cells["<age>"].startswith("integer")
    assert cells["sex"] == "2 categories (f, m)"
    assert cells["t"].endswith("condition")


def test_many_columns_are_cut_short():
    x = torch.randn(200, 40, generator=torch.Generator().manual_seed(0))
    units = wopt.AffineTransform.fit(x, "none")
    flow = wopt.Flow([units], wopt.build("target", "gaussian"))
    assert Read(flow._repr_html_()).rows[-1] == ["and 10 more", ""]


def test_a_certificate_in_html(solution):
    certificate = solution.certificate(iterations=0, transport_rows=0, challenge=False)
    page = Read(certificate._repr_html_())
    assert certificate.statement.text in page.words
    assert [row[0] for row in page.rows] == ["step", "1", "2"]
    bound = least(certificate.steps[0].bounds.gap)
    assert page.rows[1][4] == (f"{bound[1]:.4g}" if bound else "-")


def test_tables_are_escaped():
    page = Read(table([], [["<key>", "<value>"]], "<title>"))
    assert page.rows == [["<key>", "<value>"]]
    assert "<title>" in page.words


def test_ipython_shows_html(solution):
    """What a front end asks of an object, by IPython's own formatter."""
    pytest.importorskip("IPython")
    from IPython.core.formatters import DisplayFormatter

    data, _ = DisplayFormatter().format(solution.flow)
    assert "<table" in data["text/html"]
    assert data["text/plain"].startswith("Flow(")


NOTEBOOK = [
    """
import os, signal, torch, wopt
from wopt.runs.progress import Notebook
class Interrupt(Notebook):
    def progress(self, step, what, done, total, loss):
        super().progress(step, what, done, total, loss)
        if step == 2 and done > 5:
            os.kill(os.getpid(), signal.SIGINT)  # what the front end's stop button sends
x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)) + 2
options = dict(block="affine", solver={"iterations": 200}, guard={"retries": 0}, stop={"steps": 2})
""",
    "solution = wopt.fit(x, **options, listener=Interrupt())",
    "solution",
    "done = solution.resume()\nprint(done.status, done.state.step)",
    "wopt.fit(x, **options).flow",
]


@pytest.mark.slow
def test_a_real_notebook(tmp_path):
    """In a kernel: the table is one output that is rewritten, and an interrupt is no error."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in NOTEBOOK])
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    _, fitted, shown, resumed, again = [cell.outputs for cell in book.cells]
    (live,) = fitted
    assert live.output_type == "display_data"
    assert "step" in Read(live.data["text/html"]).words
    (result,) = shown
    assert "Solution(stopped after 1 step(s)" in result.data["text/html"]
    assert "solution.resume()" in result.data["text/html"]
    table_of_two, printed = resumed
    assert "going on after step 1" in Read(table_of_two.data["text/html"]).words
    assert printed.text == "done 2\n"
    assert "Affine" in again[-1].data["text/html"]
