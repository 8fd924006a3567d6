"""The gateway's memory: what was accepted, who answers it, what is final.

Commands (`threads`, `messages`, `turns`, …) are synchronous functions `(transaction, command)`
that the `writer` runs; queries (`views`, `listing`, `reports`) are asynchronous and only read.
"""
