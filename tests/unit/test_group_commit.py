"""Group commit: what waits is written together, and each has its own answer."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event

import pytest

from gradline.db.group_commit import GroupCommit
from gradline.errors import DependencyDown
from tests.waiting import wait_until

REFUSED, BREAKS = 13, 99


class Table:
    """Keeps every transaction that was tried; one with REFUSED fails, in one with BREAKS the connection is lost."""

    def __init__(self) -> None:
        self.group = GroupCommit(self._write_all)
        self.tried: list[list[int]] = []
        self._may_write = Event()
        self._may_write.set()

    def _write_all(self, numbers: Sequence[int]) -> list[int]:
        self.tried.append(sorted(numbers))
        assert self._may_write.wait(10)
        if REFUSED in numbers:
            raise ValueError("refused")
        if BREAKS in numbers:
            raise DependencyDown("lost")
        return [10 * number for number in numbers]

    def write_together(self, *numbers: int) -> list[Future[int]]:
        """These wait while another write holds the turn; the answers once all are written."""
        with ThreadPoolExecutor(1 + len(numbers)) as pool:
            self._may_write.clear()
            pool.submit(self.group.write, 0)
            wait_until(lambda: self.tried == [[0]])
            answers = [pool.submit(self.group.write, number) for number in numbers]
            wait_until(lambda: len(self.group._waiting) == len(numbers))
            self._may_write.set()
            wait(answers)
        return answers


@pytest.fixture
def table() -> Table:
    return Table()


def test_a_write_alone_is_a_transaction_of_its_own(table: Table) -> None:
    assert (table.group.write(1), table.group.write(2)) == (10, 20)
    assert table.tried == [[1], [2]]


def test_writes_that_wait_share_one_transaction_and_each_has_its_own_answer(table: Table) -> None:
    answers = table.write_together(1, 2, 3)
    assert [answer.result() for answer in answers] == [10, 20, 30]
    assert table.tried == [[0], [1, 2, 3]]


def test_one_that_is_refused_takes_no_other_with_it(table: Table) -> None:
    first, refused, last = table.write_together(1, REFUSED, 3)
    assert (first.result(), last.result()) == (10, 30)
    with pytest.raises(ValueError, match="refused"):
        refused.result()
    assert sorted(table.tried) == [[0], [1], [1, 3, REFUSED], [3], [REFUSED]]


def test_a_transaction_that_may_have_happened_is_not_tried_again(table: Table) -> None:
    for answer in table.write_together(1, BREAKS):
        with pytest.raises(DependencyDown):
            answer.result()
    assert table.tried == [[0], [1, BREAKS]]


def test_after_a_failure_the_next_write_has_the_turn(table: Table) -> None:
    with pytest.raises(ValueError, match="refused"):
        table.group.write(REFUSED)
    assert table.group.write(4) == 40
