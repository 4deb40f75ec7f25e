"""What `run` and `relay` have as services that live for long.

- `sending` is `run` from its start to its end, `relaying` a relay's; `signals` is what they are
  asked for by those, `reloading` reads the settings again.
- `watch` looks now and then whether all is well (`health`), and tells the service manager
  (`manager`) and the log (`logs`) of it; `pages` tells whoever asks over HTTP.
- `activation` has the sockets that a service manager listens on.
"""
