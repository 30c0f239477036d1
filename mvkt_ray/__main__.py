"""Let `python -m mvkt_ray` do what `mvkt` does."""

from mvkt_ray.cli import main

if __name__ == "__main__":
    main()
