"""A ledger as it lies in an object store, in pieces, and the small files that few studies have."""

import shutil
from dataclasses import replace
from pathlib import Path

from mvkt_ray.records import Reservation, Usage
from mvkt_ray.search.choosing.warm_starts.learnt import Learnt
from mvkt_ray.search.label_budget.budget_folder import BudgetFolder, BudgetPlan
from mvkt_ray.search.ledger.lease import Lease, LeaseTimes
from mvkt_ray.search.ledger.ledger_shipping import Shipment, ShippingTimes
from mvkt_ray.search.ledger.postgres.noted_server import NotedServer
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.ledger.shipped_ledger import claim, restore
from mvkt_ray.search.ledger.sqlite_url import url_of
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location
from tests.search.conftest import Lab

CONFIG = Lab(Path()).config(n_trials=5, baselines=())
_TIMES = ShippingTimes(late_s=3600.0, generation_bytes=150_000)


def make_stored_ledger(base: Path, scratch: Path) -> None:
    """Run made-up trials with a ledger in `store/`, and `other_store/` of another study."""
    for name in ("store", "other_store"):
        lab = Lab(scratch / name)
        lab.folder.mkdir(parents=True)
        root = Location.parse(base / name / "ledger")
        root.make_directory()
        lease = Lease.take(root, LeaseTimes(renewed_s=3600.0))
        claimed, database = claim(root), lab.folder / "driven.db"
        restore(root, database)
        shipment = Shipment(root, database, claimed, times=_TIMES)
        study = lab.open(CONFIG, url=url_of(database), resume=True, shipment=shipment)
        lab.run(study)
        study.close()
        shipment.close()
        lease.give_back()


def make_small_files(base: Path, finished: Path) -> None:
    """Write what only some studies have: plug-ins, warm starts, a label budget, assistants."""
    used = Usage(kept=(Reservation(node=None, cpus=1.0, gpus=0.0, worker_s=3.25),))
    for name, number in (("study", 1), ("other", 2)):
        folder = StudyFolder(Location.parse(base / name))
        folder.root.make_directory()
        plugins = {"mvkt-lab": f"{number}.0.0", "mvkt-clinic": "0.3.1"}
        folder.begin(replace(CONFIG, seed=number), plugins)
        note = NotedServer(address=ServerAddress(host="db", database="ecg"), key=f"0000000{number}")
        folder.ledger_note.write_bytes(note.to_json(folder.fingerprint))
        folder.assistants.write_usage({"II": used, "V1": used.plus(used)})
        lab = Lab(base / "scratch" / name)
        lab.folder.mkdir(parents=True)
        study = lab.open(CONFIG)
        lab.run(study, until=lambda n=number, s=study: len(s.trials()) > n)
        learnt = Learnt(study="lab", n_left_out=number, records=tuple(study.trials()))
        study.close()
        learnt.write(folder.learnt_file)
        budget = BudgetFolder(
            Location.parse(base / ("budget" if name == "study" else "other_budget"))
        )
        plan = BudgetPlan(
            base=replace(CONFIG, seed=number), budgets=(0.5, 1.0), n_draws=number, data=None
        )
        budget.begin(plan, resume=False)
        for kind in ("teacher", "knowledge"):
            made = finished / name / kind
            shutil.copytree(made, base / name / "assistants" / "II" / kind)
    shutil.rmtree(base / "scratch")
