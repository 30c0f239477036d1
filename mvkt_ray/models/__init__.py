"""Networks from signals to logits and embeddings: pure torch, one file per family.

Adding a network is one builder of a backbone in a family file and one row of `network_table`; those
of plug-ins are checked by `plugged_network`. Losses are in `distill`, the epoch loop is in
`training`. Nothing is imported here: names of networks are known without torch.
"""
