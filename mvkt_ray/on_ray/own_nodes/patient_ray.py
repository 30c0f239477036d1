"""Ray's own command line, `ray start` above all, with more patience for a node on a busy machine.

    python -m mvkt_ray.on_ray.own_nodes.patient_ray start --head ...

A node that has other work beside it is given up by `ray start` itself after half a minute, and with
it the job or the cluster that it was started for.
"""

from mvkt_ray.on_ray.ray_corrections import nodes_may_start_slowly

if __name__ == "__main__":
    from ray.scripts.scripts import main

    with nodes_may_start_slowly():
        main()
