"""A log that comes in pieces, over connections that begin again: every character is shown once."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.on_ray.jobs.job_logs import JobLog

TEXT = st.text(alphabet="ab\n\r\u2028 ", max_size=60)


@given(log=TEXT, data=st.data())
def test_every_line_is_shown_once_wherever_the_connection_breaks(log: str, data: Any) -> None:
    from_line = data.draw(st.integers(1, 5))
    shown: list[str] = []
    jobs: Any = None
    follower = JobLog(jobs, "job", shown.append, lambda text: None, from_line=from_line)
    for _ in range(data.draw(st.integers(0, 3))):
        # One connection: from the beginning of the log, in pieces, to wherever it breaks.
        end = data.draw(st.integers(0, len(log)))
        position = 0
        while position < end:
            piece = log[position : data.draw(st.integers(position + 1, end))]
            follower._take(position, piece)
            position += len(piece)
    follower._take(0, log)

    lines = log.split("\n")
    assert "".join(shown) == "\n".join(lines[from_line - 1 :])
    assert follower.next_line == len(lines)
