"""The only Ray code: connecting, tasks, the Tune run over trials, the Train run over ranks."""
