"""The page as a text: one file, every section, every number as in the report."""

import itertools
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from matplotlib.colors import to_rgb
from typed_reports import typed

from mvkt_ray.delivery.facts.material import gather_material
from mvkt_ray.delivery.figures.gallery import Gallery, make_gallery
from mvkt_ray.delivery.heat_map import make_heat_map
from mvkt_ray.delivery.page import render_page, write_page
from mvkt_ray.delivery.report.report_json import plain_report
from mvkt_ray.delivery.sentences.answer import sentences_after_finals
from mvkt_ray.delivery.sentences.captions import ranked_leads_caption
from mvkt_ray.delivery.wording import (
    breakable,
    setting,
    with_code,
)
from mvkt_ray.delivery.write_report import describe
from mvkt_ray.phrasing import PAGE
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location

SECTIONS = [
    "answer", "leads", "classes", "teacher", "curves", "search", "examples", "cost", "data",
    "limits", "provenance",
]  # fmt: skip
VOID = {"meta", "link", "br", "input", "img", "path", "rect", "use"}

Copy = Callable[[StudyFolder], StudyFolder]


class Reading(HTMLParser):
    """Collects what is needed of a page: tags, attributes, and the text outside figures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.headings: list[tuple[int, str]] = []
        self._hidden = 0
        self._heading = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden += tag in ("style", "script", "svg")
        if re.fullmatch(r"h\d", tag):
            self.headings.append((int(tag[1]), ""))
            self._heading = True

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "script", "svg")
        if re.fullmatch(r"h\d", tag):
            self._heading = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data
            if self._heading:
                level, text = self.headings[-1]
                self.headings[-1] = (level, text + data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(folder: StudyFolder, tmp_path: Any) -> str:
    material = gather_material(folder)
    location = Location.parse(tmp_path) / "report" / "index.html"
    write_page(typed(plain_report(describe(material))), material, location)
    return location.read_bytes().decode()


@pytest.fixture(scope="module")
def final_gallery(final_report: dict[str, Any], final_study: StudyFolder) -> Gallery:
    return make_gallery(typed(final_report), gather_material(final_study))


@pytest.fixture(scope="module")
def final_page(final_report: dict[str, Any], final_gallery: Gallery) -> str:
    return render_page(typed(final_report), final_gallery)


@pytest.fixture(scope="module")
def searched_page(searched_study: StudyFolder, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(searched_study, tmp_path_factory.mktemp("searched"))


def test_the_page_takes_the_level_of_its_intervals_from_the_report(
    final_study: StudyFolder,
) -> None:
    material = gather_material(final_study)
    report = plain_report(describe(material))
    report |= {"statistics": report["statistics"] | {"level": 0.9}}
    page = render_page(typed(report), make_gallery(typed(report), material))
    # What stands before is the answer, which `describe` has written.
    text = Reading(page).text.partition("How to read the numbers")[2]
    assert text.count("90 % interval") >= 8
    assert "95 % interval" not in text
    assert "90 % interval" in page[page.index("<svg") :]


@pytest.fixture(params=["final_page", "searched_page"])
def page(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    reading = Reading(page)
    for _, attributes in reading.tags:
        for name in ("src", "href", "xlink:href", "action", "data", "srcset"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:"))
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page
    assert "default-src 'none'" in page
    assert len(page) < 2_000_000


def test_sections_are_there_in_order_and_listed(page: str) -> None:
    reading = Reading(page)
    assert [attributes["id"] for attributes in reading.all("section")] == SECTIONS
    links = [attributes["href"] for attributes in reading.all("a")]
    assert [link for link in links if link != "#answer"] == [f"#{name}" for name in SECTIONS[1:]]


def test_the_page_opens_with_the_answer(final_page: str, final_report: dict[str, Any]) -> None:
    level, text = Reading(final_page).headings[0]
    assert level == 1
    plain = text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")
    assert plain == final_report["answer"]["sentences"][0]


def test_who_listens_to_the_page_finds_the_way(page: str) -> None:
    reading = Reading(page)
    levels = [level for level, _ in reading.headings]
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in itertools.pairwise(levels))
    assert len(reading.all("table")) == len(reading.all("caption")) > 4
    assert len(reading.all("svg")) == len(reading.all("title")) - 1 == len(reading.all("desc"))
    ids = [attributes["id"] for _, attributes in reading.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = {
        name
        for _, attributes in reading.tags
        for key in ("aria-labelledby",)
        for name in (attributes.get(key) or "").split()
    }
    assert named <= set(ids)
    for attributes in reading.all("th"):
        assert attributes.get("scope") in ("row", "col")


def test_no_value_of_the_program_slips_into_the_text(page: str) -> None:
    text = Reading(page).text
    assert not re.search(r"\b(nan|NaN|None|null|undefined|Undefined)\b|[{}]", text)
    # Differences carry the page's own minus sign.
    assert not re.search(r"(?<![\w.\d])-\d\.\d", text)


def test_scores_and_intervals_of_every_lead_are_on_the_page(
    final_page: str, final_report: dict[str, Any]
) -> None:
    for lead in final_report["leads"]:
        assert PAGE.score(lead["test"]["macro_auroc"]) in final_page
        assert PAGE.interval(lead["test"]["ci"]) in final_page
        for gain in lead["gains"]:
            assert PAGE.signed(gain["difference"]) in final_page
    for opening in final_report["test_split"]["openings"]:
        assert opening["code"][:12] in final_page
    for fingerprint in final_report["provenance"]["fingerprints"].values():
        assert fingerprint in final_page


def test_a_gain_is_called_a_gain_only_where_it_is_claimed(
    final_page: str, final_report: dict[str, Any]
) -> None:
    gains = [gain for lead in final_report["leads"] for gain in lead["gains"]]
    gains += final_report["mean_gains"]
    claimed = sum(gain["claimed"] for gain in gains)
    assert 0 < claimed < len(gains)
    assert final_page.count('class="claim yes"') == claimed
    assert final_page.count('class="claim no"') == len(gains) - claimed


def test_what_is_left_of_the_gap_is_on_the_page_with_every_class(
    final_page: str, final_report: dict[str, Any], searched_page: str
) -> None:
    assert "What is left of the gap" not in searched_page
    table = final_page[final_page.index("<caption>The gap in AUROC by lead and class") :]
    table = table.partition("</table>")[0]
    for lead in final_report["teacher_gap"]["leads"]:
        for row in lead["rows"][1:]:
            assert f"<td>{row['class']}</td>" in table
            if row["reason"] is None and not row["too_few"]:
                assert PAGE.signed(row["left"]["difference"]) in table
                assert f"{100 * row['closed']['fraction']:.0f}\N{NO-BREAK SPACE}%" in table.replace(
                    "\N{MINUS SIGN}", "-"
                )


def test_before_the_finals_the_page_says_so_at_the_top(searched_page: str) -> None:
    text = Reading(searched_page).text
    assert "Not final: validation only." in text
    assert text.index("Not final") < text.index("In the search")
    assert "mvkt finalize" in text
    assert 'class="claim' not in searched_page
    assert "It was never opened." in text


def test_after_the_finals_no_banner_calls_them_missing(final_page: str) -> None:
    assert "Not final" not in final_page
    assert "Synthetic recordings." in final_page


def test_a_study_that_has_just_begun_has_a_page(
    make_study: Callable[..., StudyFolder], tmp_path: Any
) -> None:
    folder = make_study(n_trials_run=4, has_finals=False)
    reading = Reading(page_of(folder, tmp_path))
    assert [attributes["id"] for attributes in reading.all("section")] == SECTIONS
    assert "No lead has a complete trial yet." in reading.text
    assert "The search is not over." in reading.text


def test_without_its_shards_a_study_has_a_page_that_says_why(
    final_study: StudyFolder, copy_of: Copy, tmp_path: Any
) -> None:
    folder = copy_of(final_study)
    folder.write_inputs({**folder.read_inputs(), "shards": Location("/moved/away")})
    page = page_of(folder, tmp_path)
    assert "The shards with the recordings are not there any more." in page
    assert "/moved/away" in page
    assert "ecg-strip" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)


def test_what_people_wrote_is_text_and_no_markup(final_report: dict[str, Any]) -> None:
    report = deepcopy(final_report)
    report["test_split"]["openings"][0]["reason"] = "<script>alert(1)</script>"
    report["limits"].append("<img src=x> & more")
    page = render_page(typed(report), Gallery(figures=dict.fromkeys(FIGURES, "")))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;img src=x&gt; &amp; more" in page


NAMES = st.lists(
    st.text(min_size=1, max_size=30).filter(lambda name: name.strip() and name.isprintable()),
    min_size=6,
    max_size=6,
    unique=True,
)
"""Texts that a source may call its six classes."""
MARKUP = [
    "[red]A[/red]",
    "<b>B</b>",
    "$x_1$",
    '"q" &amp; </script>',
    "{{ jinja }}",
    "`\u05d0` \U0001fac0",
]


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Call classes otherwise, wherever a report names one by itself."""
    if isinstance(value, dict):
        return {names.get(key, key): renamed(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [renamed(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


@settings(max_examples=8)
@given(names=NAMES)
@example(names=MARKUP)
@example(names=["af", "AF", "Af", "items", "values", "keys"])
def test_names_of_classes_are_text_whatever_they_are(
    final_report: dict[str, Any], names: list[str]
) -> None:
    empty = Gallery(figures=dict.fromkeys(FIGURES, ""))
    called = dict(zip(final_report["classes"], names, strict=True))
    usual = Reading(render_page(typed(final_report), empty))
    reading = Reading(render_page(typed(renamed(final_report, called)), empty))
    assert [tag for tag, _ in reading.tags] == [tag for tag, _ in usual.tags]
    for name in names:
        assert f"With {name}" in reading.text


def test_calibration_has_a_row_for_each_of_two_classes_that_differ_in_case(
    final_report: dict[str, Any], final_gallery: Gallery
) -> None:
    first = final_gallery.curves[0]
    rows = [row for row in first.calibration if row.class_name in ("AF", "CD")]
    rows = [replace(row, class_name="af" if row.class_name == "CD" else "AF") for row in rows]
    changed = replace(final_gallery, curves=(replace(first, calibration=tuple(rows)),))
    page = render_page(typed(final_report), changed)
    table = page[page.index("<caption>Calibration on") :].partition("</table>")[0]
    assert re.findall(r'<th scope="row">(\w+)</th>', table) == ["AF", "af"]


def text_of(report: dict[str, Any]) -> str:
    """The text of the page of a report, without figures."""
    page = render_page(typed(report), Gallery(figures=dict.fromkeys(FIGURES, "")))
    page = re.sub("(?=</t[dh]>)", " ", page)
    return " ".join(Reading(page).text.split()).replace("\N{NO-BREAK SPACE}", " ")


def test_after_finals_nothing_is_expected_from_validation_and_the_gap_is_told(
    final_report: dict[str, Any], searched_report: dict[str, Any]
) -> None:
    assert "can be expected" in text_of(searched_report)
    text = text_of(final_report)
    assert "can be expected" not in text
    gap = final_report["validation_gap"]
    assert f"the test score is {abs(gap['difference']):.3f} lower" in text


def test_the_tile_of_the_gain_has_the_interval_that_the_claim_is_made_by(
    final_report: dict[str, Any],
) -> None:
    corrected = PAGE.signed_interval(final_report["mean_gain"]["ci_corrected"])
    tile = text_of(final_report).partition("Gain by the teacher")[2].partition("Teacher, the")[0]
    assert f"corrected 95 % interval {corrected}; claimed" in tile


def test_best_set_and_pairs_are_told_as_answers_to_two_questions(
    final_report: dict[str, Any],
) -> None:
    text = text_of(final_report)
    assert "Told apart" not in text
    assert "Another question than that of the best set" in text
    assert "a hollow one is out of it" in ranked_leads_caption(typed(final_report))


def test_one_lead_is_not_called_better_than_others(final_report: dict[str, Any]) -> None:
    report = deepcopy(final_report)
    report["leads"] = report["leads"][:1]
    report["best_set"] = report["answer"]["best_set"] = [report["leads"][0]["lead"]]
    report["answer"]["lead"] = report["best_set"][0]
    report["lead_pairs"] = []
    text = text_of(report)
    assert "better than every other lead" not in text
    assert "the only lead that was examined" in text
    assert "Best lead" not in text


def test_one_seed_has_no_spread(final_report: dict[str, Any]) -> None:
    report = deepcopy(final_report)
    for lead in report["leads"]:
        lead["seeds"] = [0]
        lead["test"] |= {"seed_sd": None, "n_seeds": 1}
    text = text_of(report)
    assert text.count("one seed") >= len(report["leads"])
    assert "trained again with 1 seed;" in text
    assert "intervals over patients." in ranked_leads_caption(typed(report))


def test_finals_that_are_not_over_are_told_at_the_top(
    final_report: dict[str, Any], searched_report: dict[str, Any]
) -> None:
    begun = {"number": 2, "n_trainings": 24, "n_ended": 7, "is_opened": False}
    for report, number in ((searched_report, 1), (final_report, 2)):
        text = text_of(report | {"finals_begun": begun | {"number": number}})
        top = text.partition("How to read the numbers")[0]
        assert f"Finals {number} were begun and are not over (7 of 24 trainings" in top
        assert ("What stands here is of finals 1." in top) == (number == 2)


def test_a_class_left_out_is_named_where_means_are(final_report: dict[str, Any]) -> None:
    report = deepcopy(final_report)
    for lead in report["leads"]:
        lead["validation"]["left_out"] = ["AF"]
        lead["test"]["f1_left_out"] = ["AF"]
    text = text_of(report)
    assert "Macro means are over the 6 classes. No validation recording has AF" in text
    assert "means on validation and on test are not over the same classes" in text
    assert "The mean F1 leaves out AF." in text


def test_recordings_without_sex_are_not_counted_as_male(final_report: dict[str, Any]) -> None:
    report = deepcopy(final_report)
    split = report["data"]["splits"]["train"]
    split["sex"] = {"female": 30, "male": 10, "unknown": split["n_recordings"] - 40}
    text = text_of(report)
    assert "Female, of those whose sex is known 75 %" in text
    assert f"Sex unknown {split['n_recordings'] - 40}" in text


def test_a_teacher_below_a_student_is_no_ceiling(final_report: dict[str, Any]) -> None:
    report = deepcopy(final_report)
    assert "Teacher, the ceiling" in text_of(report)
    report["teacher"]["test"]["macro_auroc"] = 0.9
    assert "ceiling" not in text_of(report)


def test_another_answer_is_not_called_distilled(final_report: dict[str, Any]) -> None:
    report = deepcopy(final_report)
    report["answer"]["contender"] = "plain_kd"
    report["answer"]["sentences"] = sentences_after_finals(typed(report))
    text = text_of(report)
    assert "the distilled student" not in text
    assert "ranked by the contender plain distillation" in text


def test_a_class_without_threshold_has_none_among_the_examples(
    final_report: dict[str, Any], final_gallery: Gallery
) -> None:
    examples = final_gallery.examples
    assert examples is not None
    names = [name for name, _, _ in examples.thresholds]
    thresholds = ((names[0], None, None), *examples.thresholds[1:])
    changed = replace(final_gallery, examples=replace(examples, thresholds=thresholds))
    text = " ".join(Reading(render_page(typed(final_report), changed)).text.split())
    assert f"{names[0]} none, as no validation recording has it" in text


FIGURES = (
    "ranked_leads", "gains", "teacher_gap", "importance", "slices", "parallel", "two_dials",
    "learning_curves", "cost",
)  # fmt: skip


def test_a_command_with_a_file_name_that_is_not_utf8_is_on_the_page(
    final_report: dict[str, Any],
    final_study: StudyFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = Gallery(figures=dict.fromkeys(FIGURES, ""))
    monkeypatch.setattr("mvkt_ray.delivery.page.make_gallery", lambda *_: empty)
    report = deepcopy(final_report)
    report["test_split"]["openings"][0]["command"] = "mvkt finalize caf\udce9"
    write_page(typed(report), gather_material(final_study), Location.parse(tmp_path) / "index.html")
    assert "mvkt finalize caf\\udce9" in (tmp_path / "index.html").read_text("utf-8")


def test_a_page_without_figures_says_why_in_each_place(final_report: dict[str, Any]) -> None:
    page = render_page(typed(final_report), Gallery(figures=dict.fromkeys(FIGURES, "")))
    reading = Reading(page)
    assert not reading.all("svg")
    assert page.count('class="empty"') >= len(FIGURES)


def test_too_few_positives_show_no_number(final_report: dict[str, Any], final_page: str) -> None:
    heat_map = make_heat_map(typed(final_report))
    assert heat_map is not None
    few = final_report["leads"][0]["test"]["per_class"]
    n_few = sum(scores["too_few"] for scores in few.values())
    assert n_few > 0
    rows = [*heat_map.rows, heat_map.teacher]
    table = final_page[final_page.index('heat-map">') :].partition("</table>")[0]
    assert table.count(">too few</td>") == n_few * len(rows)
    for row in heat_map.rows:
        for name, cell in zip(heat_map.classes, row.cells, strict=True):
            assert cell.too_few == few[name]["too_few"] == (cell.background is None)


def luminance(colour: str) -> float:
    """Relative luminance by the text of WCAG 2.2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_letters_stand_out_from_every_colour_of_the_heat_map(final_report: dict[str, Any]) -> None:
    heat_map = make_heat_map(typed(final_report))
    assert heat_map is not None
    cells = [cell for row in heat_map.rows for cell in (*row.cells, row.macro)] + [*heat_map.legend]
    coloured = [cell for cell in cells if cell.background and cell.ink]
    assert len({cell.background for cell in coloured}) > 10
    for cell in coloured:
        light, dark = sorted(map(luminance, (cell.background or "", cell.ink or "")), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (PAGE.score(0.87149), "0.871"),
        (PAGE.score(None), "\N{EM DASH}"),
        (PAGE.signed(0.0042), "+0.004"),
        (PAGE.signed(-0.0042), "\N{MINUS SIGN}0.004"),
        (PAGE.signed(-0.0001), "0.000"),
        (PAGE.interval((0.8, 0.9)), "0.800\N{EN DASH}\N{WORD JOINER}0.900"),
        (PAGE.p_value(0.0004), "< 0.001"),
        (PAGE.p_value(0.0336), "0.034"),
        (setting(0.0170949), "0.0171"),
        (setting(True), "yes"),
        (breakable("a_b<c"), Markup("a_<wbr>b&lt;c")),
        (PAGE.spread(0.0004, 3), "< 0.001"),
        (PAGE.spread(0.0, 3), "0.000"),
        (PAGE.spread(None, 1), "one seed"),
        (with_code("-0.512 `mvkt run`"), Markup("\N{MINUS SIGN}0.512 <code>mvkt run</code>")),
        # What data may be called is not changed.
        (with_code("`a` has V-3 <b> -3"), Markup("`a` has V-3 &lt;b&gt; -3")),
    ],
)  # fmt: skip
def test_numbers_are_written_the_same_everywhere(written: str, expected: str) -> None:
    assert written == expected
