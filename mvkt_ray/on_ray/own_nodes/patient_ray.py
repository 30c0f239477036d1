"""Ray's command line, such as `ray start`, with longer time limits for a busy machine.

    python -m mvkt_ray.on_ray.own_nodes.patient_ray start --head ...

`ray start` itself gives up after 30 s, which a node on a busy machine may need to start.
"""

from mvkt_ray.on_ray.ray_corrections import nodes_may_start_slowly

if __name__ == "__main__":
    from ray.scripts.scripts import main

    with nodes_may_start_slowly():
        main()
