import './style.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { keepToken } from './lib/api';
import { route } from './lib/route.svelte';

keepToken();
route.listen();
mount(App, { target: document.getElementById('app')! });
