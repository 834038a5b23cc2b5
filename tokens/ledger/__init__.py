"""The only code that writes the ledger. Every function joins the caller's transaction.

Lock order everywhere: job, then wallets by primary key, then hold. A wallet's row is the lock for
its lots and holds. Whoever keeps to it may wait for somebody else but never in a circle.
"""
