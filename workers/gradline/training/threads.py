"""Parts of a pass on several threads: what is compiled runs without the interpreter's lock.

What the parts are and the order in which they are added up do not depend on the number of threads, so neither do bits.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

from gradline.training.products import LetGo

Part = TypeVar("Part")
Result = TypeVar("Result")


def each_in_turn(work: Callable[[Part], Result], parts: list[Part], let_go: LetGo | None) -> Iterator[Result]:
    """What `work` makes of each part, in their order; of as many at once as torch may have threads.

    `let_go`: called where so many parts of the features have been read.
    """
    n_threads, is_inference = torch.get_num_threads(), torch.is_inference_mode_enabled()

    def work_alike(part: Part) -> Result:
        with torch.inference_mode(is_inference):  # which every thread has of its own
            return work(part)

    for start in range(0, len(parts), n_threads):
        some = parts[start : start + n_threads]
        yield from map(work, some) if n_threads == 1 else _pool(n_threads).map(work_alike, some)
        if let_go is not None:
            let_go()


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, "pass")
