"""The peer of `http`: the same endpoints over the same tables as plain viewsets of Django REST framework."""
