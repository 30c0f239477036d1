"""The search: its space, the study that deals trials and keeps the ledger, and the stages of it."""
