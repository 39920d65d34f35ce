"""The roof: settings, entry points, the Celery application, checks, the local cluster. Decides
nothing.
"""
