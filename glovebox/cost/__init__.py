"""What a deployment costs while nothing runs, from its templates and one table of list prices."""
