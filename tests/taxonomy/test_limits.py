from taxonomy.limits import AgencyLimits, load_agencies, load_limits


def test_one_set_of_texts_goes_to_every_agency_so_the_tightest_limit_holds() -> None:
    limits = load_limits()
    assert (limits.title, limits.caption, limits.alt_text) == (70, 200, 125)


def test_a_customers_limits_come_before_ours() -> None:
    assert load_limits({"adobe": {"title": 60}}).title == 60
    assert load_limits({"adobe": {"title": 200}}).title == 100
    assert load_agencies({"adobe": {"max_keywords": 45}})["adobe"] == AgencyLimits(
        title=70, max_keywords=45, filename=30
    )


def test_agencies_say_how_many_keywords_they_take() -> None:
    agencies = load_agencies()
    assert (agencies["shutterstock"].min_keywords, agencies["shutterstock"].max_keywords) == (7, 50)
    assert agencies["adobe"].max_keywords == 49
    assert all((limits.min_keywords or 0) <= (limits.max_keywords or 1000) for limits in agencies.values())
