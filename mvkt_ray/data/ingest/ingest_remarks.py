"""What a person should know of what was ingested, though nothing of it stops the ingest."""

from collections.abc import Iterator, Mapping

from mvkt_ray.data.identity import code_key, spellings
from mvkt_ray.data.ingest.ingest_plan import IngestPlan
from mvkt_ray.data.ingest.shard_totals import ShardTotals
from mvkt_ray.data.tasks import codes_without_class
from mvkt_ray.phrasing import listing


def remarks_on(plan: IngestPlan, totals: ShardTotals) -> list[str]:
    """Return sentences on recordings that are left out, and on patients and codes that may mix."""
    return [
        *_not_listed(plan),
        *_without_patient(totals),
        *_patients_respelled(totals),
        *_codes_respelled(totals.codes),
        *_codes_without_class(plan, totals.codes),
        *_shared_patients(plan, totals),
    ]


def _not_listed(plan: IngestPlan) -> Iterator[str]:
    left = plan.not_listed
    if left.n_records:
        yield (
            f"{_some(left.n_records, 'record lies', 'records lie')} in the folder of the source, "
            f"but not in its table, for example {left.examples[0]!r}: left out. Add rows for them, "
            "if they belong to the dataset."
        )
    if left.unreadable:
        yield (
            f"{_some(len(left.unreadable), 'folder', 'folders')} of the source could not be looked "
            f"into for records that are not listed, for example {left.unreadable[0]}."
        )


def _without_patient(totals: ShardTotals) -> Iterator[str]:
    if n := totals.n_without_patient:
        yield (
            f"no patient is named for {n:,} of {len(totals.patients):,} recordings: each is taken "
            "for a patient of its own, so two of one person may be in two splits."
        )


def _patients_respelled(totals: ShardTotals) -> Iterator[str]:
    if n := totals.n_patients_in_several_spellings:
        example = totals.patients_in_several_spellings[0]
        yield (
            f"{_some(n, 'patient is', 'patients are')} written in several ways, for example "
            f"{listing([repr(name) for name in example])}: taken for one."
        )


def _codes_respelled(codes: Mapping[str, int]) -> Iterator[str]:
    groups = spellings(codes, code_key)
    if groups:
        counted = [f"{code!r} ({codes[code]:,})" for code in groups[0]]
        yield (
            f"{_some(len(groups), 'label code is', 'label codes are')} written in several ways, "
            f"for example {listing(counted)}: taken for one."
        )


def _codes_without_class(plan: IngestPlan, codes: Mapping[str, int]) -> Iterator[str]:
    left = codes_without_class(plan.source.tasks().values(), codes)
    if left:
        code, n = next(iter(left.items()))
        yield (
            f"{_some(len(left), 'label code belongs', 'label codes belong')} to no class of a task "
            f"of {plan.source.name}, most often {code!r} ({n:,}): `mvkt inspect` lists them."
        )


def _shared_patients(plan: IngestPlan, totals: ShardTotals) -> Iterator[str]:
    if n := totals.n_shared_patients:
        yield (
            f"{_some(n, 'patient is', 'patients are')} in several folds of {plan.source.name}, for "
            f"example {totals.shared_patients[0]}: splits cut from these folds would share "
            "patients, and will be refused."
        )


def _some(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"
