"""What a notebook shows of a study is the answer of its report, and changes nothing around it."""

import re
from typing import Any

from typed_reports import typed

from mvkt_ray.delivery.notebook_view import notebook_view


def test_it_has_the_sentence_every_lead_in_order_and_the_drawing(
    final_report: dict[str, Any], searched_report: dict[str, Any]
) -> None:
    for report in (final_report, searched_report):
        html = notebook_view(typed(report))
        leads = re.findall(r'<th scope="row">([\w+]+)', html)
        assert leads == [lead["lead"] for lead in report["leads"]]
        assert html.count("<svg") == 1
    assert "Not final" in notebook_view(typed(searched_report))
    assert "Not final" not in notebook_view(typed(final_report))
    marked = re.findall(r'<th scope="row">([\w+]+) ●', notebook_view(typed(final_report)))
    assert marked == final_report["best_set"]


def test_every_rule_of_its_style_is_about_its_own_element(final_report: dict[str, Any]) -> None:
    html = notebook_view(typed(final_report))
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    selectors = re.findall(r"([^{}]+)\{", style[1])
    assert all(".mvkt-study" in each for group in selectors for each in group.split(","))
    used = set(re.findall(r"var\((--[\w-]+)\)", html))
    assert used <= set(re.findall(r"(--[\w-]+):", style[1]))


def test_ids_of_two_studies_in_one_page_do_not_meet(
    final_report: dict[str, Any], searched_report: dict[str, Any]
) -> None:
    ids = [set(re.findall(r'\bid="([^"]+)"', notebook_view(typed(report))))
           for report in (final_report, searched_report)]  # fmt: skip
    assert ids[0]
    assert not ids[0] & ids[1]


def test_names_from_data_are_no_markup(final_report: dict[str, Any]) -> None:
    report = final_report | {"study": "<script>x</script>"}
    assert "<script>" not in notebook_view(typed(report))
