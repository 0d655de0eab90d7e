"""DestinationRules and VirtualServices as every proxy reads them: names made full, rules of one
host merged, delegates taken into their roots.
"""
