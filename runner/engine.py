"""Papermill's way to execute a notebook, with the expressions in its text.

It imports papermill, which is slow: see :mod:`runner.kernels`.
"""

from __future__ import annotations

from typing import Any

from nbclient.util import ensure_async, run_sync
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from runner.document import expressions
from runner.waiting import Count

NAME = "market-impact"
UNUSED = ("input_path", "log_output", "stdout_file", "stderr_file", "execution_timeout")


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """Evaluate the expressions of each Markdown cell in its turn, and count the cells.

    The results stand in its metadata as jupyterlab-myst stores them, under ``user_expressions``.
    """

    count: Count | None = None

    async def async_execute_cell(
        self, cell: Any, cell_index: int, *more: Any, **options: Any
    ) -> Any:
        """Execute a code cell, or evaluate the expressions of a Markdown cell."""
        if self.count:
            self.count.begin(f"cell {cell_index + 1}", len(self.nb.cells))
        if cell.cell_type != "markdown":
            return await super().async_execute_cell(cell, cell_index, *more, **options)
        cell.metadata.pop("user_expressions", None)
        asked = expressions(cell)
        if asked:
            cell.metadata["user_expressions"] = await self._evaluated(asked, cell)
        return cell

    execute_cell = run_sync(async_execute_cell)

    async def _evaluated(self, asked: list[str], cell: Any) -> list[dict[str, Any]]:
        """Return the results of expressions, in their order."""
        numbered = {str(number): expression for number, expression in enumerate(asked)}
        request = self.kc.execute("", store_history=False, user_expressions=numbered)
        reply = await self.async_wait_for_reply(await ensure_async(request), cell)
        results = reply["content"]["user_expressions"]
        return [
            {"expression": text, "result": results[number]} for number, text in numbered.items()
        ]


class Engine(NBClientEngine):  # type: ignore[misc]
    """Papermill's engine with this client."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
        """Execute a notebook."""
        options["startup_timeout"] = options.pop("start_timeout", 60)
        for name in UNUSED:
            options.pop(name, None)
        counted = options.pop("count", None)
        client = Client(nb_man, kernel_name=kernel_name, **options)
        client.count = counted
        return client.execute()


papermill_engines.register(NAME, Engine)
