"""What a page shows of a client: its outbox, its sender, and the last events.

page = outbox_page(client, token=token, host="127.0.0.1")
app = Starlette(routes=[*page.routes(), …])
print(page.address(url))  # with the token
…
page.end()  # as the server ends, in its event loop
"""

from __future__ import annotations

from segops_durable.watching.client_view import ClientView
from segops_durable.watching.outbox_page import outbox_page

__all__ = ["ClientView", "outbox_page"]
